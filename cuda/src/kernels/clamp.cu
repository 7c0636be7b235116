// SPDX-License-Identifier: Apache-2.0
// Clamps in one pass; writes only vectors of which an element changes, and counts these.
#include <initializer_list>

#include "kernels/grids.hpp"
#include "kernels/last_block.cuh"
#include "kernels/launch.hpp"
#include "kernels/transform.cuh"

namespace gradclip {
namespace {

/// What a thread has changed: 32 bits count what even one multiprocessor's threads can meet in a device's memory.
struct Changes {
  unsigned elements;
  unsigned zeroed;  ///< 1 if any
};

template <bool Wide>
struct ClampVectors {
  Vectors& v;
  int left;
  const ClampLimits& limits;
  Changes& changes;

  /// The bits of the vectors that differ now.
  template <class T>
  __device__ __forceinline__ unsigned run() const {
    unsigned writes = 0;
    GRADCLIP_UNROLL
    for (int k = 0; k < kInFlight; ++k) {
      if (clampVector<T>(v.at[k], bytesOf(k, left))) writes |= 1u << k;
    }
    return writes;
  }

  __device__ __forceinline__ unsigned unknown() const { return 0; }

 private:
  template <class T>
  __device__ __forceinline__ typename Element<T>::A within(double limit) const {
    return Wide ? limitIn<T>(limit) : static_cast<typename Element<T>::A>(limit);
  }

  /// 0 lies within the limits; else what was zeroed is counted when it is clamped.
  __device__ __forceinline__ bool countsZeroed() const { return limits.min <= 0.0 && limits.max >= 0.0; }

  template <class T>
  __device__ __forceinline__ bool zeroes(typename Element<T>::Bits bits) const {
    return limits.zeroNonFinite && absoluteBits<T>(bits) >= Element<T>::kInfinity;
  }

  template <class T>
  __device__ __forceinline__ typename Element<T>::Bits unscaled(typename Element<T>::Bits bits) const {
    return !Wide || limits.inverseScale == 1.0 ? bits : scaled<T>(bits, limits.inverseScale);
  }

  template <class T>
  __device__ __forceinline__ bool clampVector(Vector& vector, int bytes) const {
    bool beyond = false;
    GRADCLIP_UNROLL
    for (int c = 0; c < kComponents<T>; ++c) {
      const auto bits = component<T>(vector, c);
      const auto now = clamped<T>(unscaled<T>(bits), within<T>(limits.min), within<T>(limits.max));
      beyond = beyond || zeroes<T>(bits) || now != bits;
    }
    return beyond && replace<T>(vector, bytes);
  }

  /// Few vectors come here. What a vector lacks is 0, and may lie beyond the limits.
  template <class T>
  __device__ __forceinline__ bool replace(Vector& vector, int bytes) const {
    Vector result = {};
    bool differs = false;
    GRADCLIP_UNROLL
    for (int c = 0; c < kComponents<T>; ++c) {
      const auto bits = component<T>(vector, c);
      const bool zero = zeroes<T>(bits);
      const auto kept = zero ? typename Element<T>::Bits{0} : unscaled<T>(bits);
      const auto now = clamped<T>(kept, within<T>(limits.min), within<T>(limits.max));
      setComponent<T>(result, c, now);
      if (c * static_cast<int>(sizeof(T)) >= bytes) continue;
      if (now != kept || (zero && countsZeroed())) ++changes.elements;
      changes.zeroed |= zero ? 1u : 0u;
      differs = differs || now != bits;
    }
    vector = result;
    return differs;
  }
};

template <bool Wide>
struct Clamp {
  std::int32_t dtype;
  const ClampLimits& limits;
  Changes& changes;

  __device__ __forceinline__ unsigned apply(Vectors& v, int left) const {
    return dispatch(dtype, ClampVectors<Wide>{v, left, limits, changes});
  }
};

/// One atomic a warp.
__device__ __forceinline__ void countChanges(Control* control, const Changes& changes) {
  unsigned long long elements = changes.elements;
  for (int half = kWarp / 2; half > 0; half /= 2) elements += __shfl_xor_sync(kAllLanes, elements, half);
  const bool zeroed = __any_sync(kAllLanes, changes.zeroed != 0) != 0;
  if (laneIndex() != 0) return;
  if (elements != 0) atomicAdd(&control->changed, elements);
  if (zeroed) atomicOr(&control->zeroed, 1u);
}

__device__ inline void publishClamp(const ClampParams& params) {
  Slot slot = {};
  slot.ticket = ticketOf(params.ticket, params.capture);
  slot.totalNorm = slot.coefficient = bitCast<double>(std::uint64_t{Element<double>::kNaN});
  slot.changed = static_cast<std::int64_t>(atomicExch(&params.control->changed, 0ull));
  slot.flags = (slot.changed > 0 ? kClipped : 0u) | (atomicExch(&params.control->zeroed, 0u) != 0 ? kNonFinite : 0u);
  slot.badSegment = -1;
  publish(params.slot, slot);
}

__device__ __forceinline__ ClampLimits limitsOf(const ClampParams& params) {
  if (!hasNewNumbers(params.capture)) return params.limits;
  const Parameters* const now = params.capture.parameters;
  return {loadGlobal<double>(&now->min), loadGlobal<double>(&now->max), loadGlobal<double>(&now->limit.inverseScale),
          params.limits.zeroNonFinite};
}

/// A row's own limits, where parts have some.
template <bool Wide>
__device__ __forceinline__ ClampLimits limitsOf(const PartTable& parts, const ClampLimits& limits, const Row& row) {
  if (!Wide || parts.count == 0) return limits;
  const Part* const part = parts.parts + loadGlobal<std::uint32_t>(parts.ofSegment + row.segment);
  return {loadGlobal<double>(&part->min), loadGlobal<double>(&part->max), limits.inverseScale, limits.zeroNonFinite};
}

template <bool Wide>
__device__ __forceinline__ void clampTile(const ClampParams& params, const ClampLimits& limits, std::uint32_t number,
                                          Changes& changes) {
  const Row row = rowOfTile(params.tiles, number);
  const ClampLimits own = limitsOf<Wide>(params.parts, limits, row);
  const Clamp<Wide> clamp = {row.dtype, own, changes};
  transformTile(tileOf(row, number), clamp);
}

/// Wide: with limits by parts, limits beyond a type's numbers, or unscaling, which take registers that a plain clamp
/// need not spill.
template <bool Wide>
__global__ void __launch_bounds__(kBlockThreads, Wide ? 2 : 3) clampKernel(const ClampParams params) {
  if (params.decision != nullptr) {
    const Decision decision = bitCast<Decision>(loadGlobal<uint4>(params.decision));
    if (decision.mode == Mode::Untouched) return;
  }
  const ClampLimits limits = limitsOf(params);
  Changes changes = {0, 0};
  for (std::uint32_t i = warpIndex(); i < params.tileCount; i += warpCount()) {
    clampTile<Wide>(params, limits, i, changes);
  }
  countChanges(params.control, changes);
  if (lastBlock(params.control) && threadIdx.x == 0) publishClamp(params);
}

}  // namespace

cudaError_t findClampGrid(int device, Grids* grids) {
  const cudaError_t error = residentBlocks(device, clampKernel<true>, &grids->clampWide);
  return error == cudaSuccess ? residentBlocks(device, clampKernel<false>, &grids->clamp) : error;
}

namespace {

/// Whether some type has no number near a finite limit: float16 has the least range.
bool isBeyond(double limit) { return isFinite(limit) && limitIn<Float16>(limit) != static_cast<float>(limit); }

}  // namespace

cudaError_t enqueueClamp(const Grids& grids, cudaStream_t stream, const ClampParams& params) {
  const bool wide = params.parts.count != 0 || params.limits.inverseScale != 1.0 ||
                    params.capture.parameters != nullptr || isBeyond(params.limits.min) || isBeyond(params.limits.max);
  const unsigned blocks = blocksFor(params.tileCount, wide ? grids.clampWide : grids.clamp);
  return launch(wide ? clampKernel<true> : clampKernel<false>, blocks, kBlockThreads, kLastBlockBytes, stream, params);
}

cudaError_t findGrids(int device, Grids* grids) {
  for (auto* find : {findMeasureGrids, findDecideGrid, findScaleGrid, findClampGrid}) {
    const cudaError_t error = find(device, grids);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace gradclip
