// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <jni.h>

#include <cstdio>

#include "gradclip/cuda.hpp"

namespace gradclip {

/// Leaves an exception pending that is made from an int and a string, in either order.
inline void throwNew(JNIEnv* env, const char* type, const char* signature, jint number, const char* text,
                     bool numberFirst) {
  const jclass exception = env->FindClass(type);
  if (exception == nullptr) return;
  const jmethodID constructor = env->GetMethodID(exception, "<init>", signature);
  const jstring message = env->NewStringUTF(text);
  if (constructor == nullptr || message == nullptr) return;
  const jobject thrown = numberFirst ? env->NewObject(exception, constructor, number, message)
                                     : env->NewObject(exception, constructor, message, number);
  if (thrown != nullptr) env->Throw(static_cast<jthrowable>(thrown));
}

/// The one place where a status becomes a Java exception; returns whether all is well.
inline bool checked(JNIEnv* env, const CudaStatus& status) {
  if (status.ok()) return true;
  if (status.piece >= 0) {
    throwNew(env, "dev/gradclip/internal/jni/UnboundPieceException", "(ILjava/lang/String;)V", status.piece, status.why,
             true);
    return false;
  }
  char text[512];
  std::snprintf(text, sizeof text, "%s (%d) from %s: %s", cudaErrorNameOf(status.code), status.code, status.call,
                cudaErrorTextOf(status.code));
  const char* type = status.fatal() ? "dev/gradclip/CudaFatalException" : "dev/gradclip/CudaException";
  throwNew(env, type, "(Ljava/lang/String;I)V", status.code, text, false);
  return false;
}

}  // namespace gradclip
