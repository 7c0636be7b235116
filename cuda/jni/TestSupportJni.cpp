// SPDX-License-Identifier: Apache-2.0
// dev.gradclip.internal.jni.TestSupport: what Java tests need and the library must not have.
#include <jni.h>
#include <sys/mman.h>

#include "guard.hpp"

namespace {

#if defined(__x86_64__)
constexpr gradclip::FloatControl kFlush = 0x8040;  // FTZ and DAZ
#elif defined(__aarch64__)
constexpr gradclip::FloatControl kFlush = 1u << 24;  // FZ
#endif

}  // namespace

extern "C" {

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_TestSupport_flushToZero(JNIEnv*, jclass, jboolean on) {
  const gradclip::FloatControl rest = gradclip::floatControl() & ~kFlush;
  gradclip::setFloatControl(on ? rest | kFlush : rest);
}

JNIEXPORT jboolean JNICALL Java_dev_gradclip_internal_jni_TestSupport_flushesToZero(JNIEnv*, jclass) {
  return (gradclip::floatControl() & kFlush) == kFlush;
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_TestSupport_reserve(JNIEnv* env, jclass, jlong bytes) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* address = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (address != MAP_FAILED) return static_cast<jlong>(reinterpret_cast<std::uintptr_t>(address));
  env->ThrowNew(env->FindClass("java/lang/OutOfMemoryError"), "mmap: address space not available");
  return 0;
}

/// The least that makes this library one that runs OpenMP threads.
JNIEXPORT jint JNICALL Java_dev_gradclip_internal_jni_TestSupport_openMpRegion(JNIEnv*, jclass, jint threads) {
  jint ran = 0;
#pragma omp parallel num_threads(threads) reduction(+ : ran)
  ran += 1;
  return ran;
}

JNIEXPORT jint JNICALL Java_dev_gradclip_internal_jni_TestSupport_openMpMost(JNIEnv*, jclass) {
  jint ran = 0;
#pragma omp parallel reduction(+ : ran)
  ran += 1;
  return ran;
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_TestSupport_release(JNIEnv*, jclass, jlong address, jlong bytes) {
  munmap(reinterpret_cast<void*>(static_cast<std::uintptr_t>(address)), static_cast<size_t>(bytes));
}

}  // extern "C"
