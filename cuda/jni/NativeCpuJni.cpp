// SPDX-License-Identifier: Apache-2.0
// dev.gradclip.internal.jni.NativeCpu. Compiled without C++ exceptions, so none leaves a function; errors are Java
// exceptions left pending.
#include "dev_gradclip_internal_jni_NativeCpu.h"

#include "gradclip/cpu.hpp"
#include "guard.hpp"
#include "pieces.hpp"

using namespace gradclip;

extern "C" {

JNIEXPORT jstring JNICALL Java_dev_gradclip_internal_jni_NativeCpu_buildId(JNIEnv* env, jclass) {
  return env->NewStringUTF(GRADCLIP_BUILD_ID);
}

JNIEXPORT jint JNICALL Java_dev_gradclip_internal_jni_NativeCpu_usableLevels(JNIEnv*, jclass) { return usableLevels(); }

JNIEXPORT jstring JNICALL Java_dev_gradclip_internal_jni_NativeCpu_levelName(JNIEnv* env, jclass, jint level) {
  return env->NewStringUTF(levelKernels(level).name);
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCpu_address(JNIEnv* env, jclass, jobject direct) {
  return static_cast<jlong>(reinterpret_cast<std::uintptr_t>(env->GetDirectBufferAddress(direct)));
}

JNIEXPORT jobject JNICALL Java_dev_gradclip_internal_jni_NativeCpu_view(JNIEnv* env, jclass, jlong address,
                                                                        jlong bytes) {
  return env->NewDirectByteBuffer(pointer<void>(address), bytes);
}

JNIEXPORT jint JNICALL Java_dev_gradclip_internal_jni_NativeCpu_measure(
    JNIEnv* env, jclass, jint level, jlong table, jint rows, jobjectArray arrays, jint norm, jdouble p, jlong maxima,
    jlong firstTile, jlong lastTile, jlong partials, jlong planeStride) {
  const FloatGuard guard;
  const Measure measure{levelKernels(level), static_cast<NormKind>(norm), p, pointer<double>(maxima)};
  unsigned planes = 0;
  const Pieces pieces{env, pointer<Piece>(table), rows, arrays};
  forEachRow<HeapAccess::Read>(pieces, firstTile, lastTile, [&](const Piece& piece, const PieceRange& range, void* x) {
    planes |= measure(piece, x, range.count, pointer<double>(partials) + range.firstTile, planeStride);
  });
  return static_cast<jint>(planes);
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCpu_scale(JNIEnv* env, jclass, jint level, jlong table,
                                                                  jint rows, jobjectArray arrays, jlong coefficients,
                                                                  jlong firstTile, jlong lastTile) {
  const FloatGuard guard;
  const ScaleKernels& kernels = *levelKernels(level).scale;
  const Pieces pieces{env, pointer<Piece>(table), rows, arrays};
  forEachRow<HeapAccess::Write>(pieces, firstTile, lastTile, [&](const Piece& piece, const PieceRange& range, void* x) {
    kernels.scale[ordinal(piece.dtype)](x, range.count, pointer<double>(coefficients)[piece.segment]);
  });
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCpu_clamp(JNIEnv* env, jclass, jint level, jlong table,
                                                                   jint rows, jobjectArray arrays, jdouble min,
                                                                   jdouble max, jlong firstTile, jlong lastTile) {
  const FloatGuard guard;
  const ClampKernels& kernels = *levelKernels(level).clamp;
  jlong changed = 0;
  const Pieces pieces{env, pointer<Piece>(table), rows, arrays};
  forEachRow<HeapAccess::Write>(pieces, firstTile, lastTile, [&](const Piece& piece, const PieceRange& range, void* x) {
    changed += kernels.clamp[ordinal(piece.dtype)](x, range.count, min, max);
  });
  return changed;
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCpu_zeroNonFinite(JNIEnv* env, jclass, jint level,
                                                                           jlong table, jint rows, jobjectArray arrays,
                                                                           jlong firstTile, jlong lastTile) {
  const FloatGuard guard;
  const ClampKernels& kernels = *levelKernels(level).clamp;
  jlong changed = 0;
  const Pieces pieces{env, pointer<Piece>(table), rows, arrays};
  forEachRow<HeapAccess::Write>(pieces, firstTile, lastTile, [&](const Piece& piece, const PieceRange& range, void* x) {
    changed += kernels.zeroNonFinite[ordinal(piece.dtype)](x, range.count);
  });
  return changed;
}

}  // extern "C"
