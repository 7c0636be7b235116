// SPDX-License-Identifier: Apache-2.0
// dev.gradclip.internal.jni.NativeCpu. Compiled without C++ exceptions, so none leaves a function; errors are Java
// exceptions left pending.
#include "dev_gradclip_internal_jni_NativeCpu.h"

#include <algorithm>

#include "common/update.hpp"
#include "gradclip/cpu.hpp"
#include "guard.hpp"
#include "pieces.hpp"

using namespace gradclip;

namespace {

/// The power of 2 that the bytes of a chunk of state are: dev.gradclip.internal.cpu.CpuUpdateState.
constexpr int kChunkShift = 30;

}  // namespace

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
  forEachElements<HeapAccess::Read>(
      pieces, firstTile, lastTile, [&](const Piece& piece, const PieceRange& range, void* x) {
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
  forEachElements<HeapAccess::Write>(
      pieces, firstTile, lastTile, [&](const Piece& piece, const PieceRange& range, void* x) {
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
  forEachElements<HeapAccess::Write>(pieces, firstTile, lastTile,
                                     [&](const Piece& piece, const PieceRange& range, void* x) {
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
  forEachElements<HeapAccess::Write>(pieces, firstTile, lastTile,
                                     [&](const Piece& piece, const PieceRange& range, void* x) {
                                       changed += kernels.zeroNonFinite[ordinal(piece.dtype)](x, range.count);
                                     });
  return changed;
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCpu_update(
    JNIEnv* env, jclass, jint level, jlong table, jint pieceCount, jobjectArray arrays, jlong numbers, jlong state,
    jlong firstChunks, jint chunksOfSlot, jlong firstTile, jlong lastTile) {
  const FloatGuard guard;
  const UpdateKernels& kernels = *levelKernels(level).update;
  const auto& head = *pointer<UpdateNumbers>(numbers);
  const auto* segments = reinterpret_cast<const SegmentUpdate*>(pointer<UpdateNumbers>(numbers) + 1);
  const auto* chunks = pointer<std::int64_t>(state);
  const int slots = statesOf(static_cast<UpdateForm>(head.form));
  jlong changed = 0;
  const Pieces gradients{env, pointer<Piece>(table), pieceCount, arrays};
  forEachPiece(gradients.table, pieceCount, firstTile, lastTile, [&](std::int64_t i, const PieceRange& range) {
    const Piece& gradient = gradients.table[i];
    const Piece& weights = gradients.table[pieceCount + i];
    Elements gradientElements(gradients, i, HeapAccess::Write);
    Elements weightElements(gradients, pieceCount + i, HeapAccess::Write);
    if (!gradientElements.isThere() || !weightElements.isThere()) return false;
    unsigned char* const g = gradientElements.enter();
    unsigned char* const p = g == nullptr ? nullptr : weightElements.enter();
    if (p == nullptr) {
      gradientElements.leave();
      return false;
    }
    const std::int64_t stateBytes = weights.dtype == DType::Float64 ? 8 : 4;
    const std::int64_t chunkElements = (std::int64_t{1} << kChunkShift) / stateBytes;
    for (std::int64_t at = range.firstElement; at < range.firstElement + range.count;) {
      const std::int64_t chunk = at / chunkElements;
      const std::int64_t n = std::min(range.firstElement + range.count - at, (chunk + 1) * chunkElements - at);
      const auto stateAt = [&](int slot) -> void* {
        const std::int64_t start = chunks[slot * chunksOfSlot + pointer<std::int32_t>(firstChunks)[i] + chunk];
        return start == 0 ? nullptr : pointer<unsigned char>(start) + (at - chunk * chunkElements) * stateBytes;
      };
      const WeightState own = {slots > 0 ? stateAt(0) : nullptr, slots > 1 ? stateAt(1) : nullptr,
                               (head.flags & kMasterWeights) != 0 ? stateAt(slots) : nullptr};
      changed += kernels.update[ordinal(gradient.dtype)][ordinal(weights.dtype)](
          head, segments[gradient.segment], g + at * elementBytes(gradient.dtype), p + at * elementBytes(weights.dtype),
          own, n);
      at += n;
    }
    weightElements.leave();
    gradientElements.leave();
    return true;
  });
  return changed;
}

}  // extern "C"
