// SPDX-License-Identifier: Apache-2.0
// Levels 1 to 3 of the canonical reduction: one partial per tile.
#include <initializer_list>

#include "kernels/grids.hpp"
#include "kernels/tiles.cuh"
#include "kernels/launch.hpp"
#include "kernels/norms.cuh"

namespace gradclip {
namespace {

/// A thread's lanes, for whichever element type.
template <template <class> class Norm>
struct Lanes {
  Norm<float> single[kComponents<Float16>];
  Norm<double> wide[kComponents<double>];

  template <class T>
  __device__ __forceinline__ auto* of() {
    if constexpr (sizeof(T) == 8) {
      return wide;
    } else {
      return single;
    }
  }
};

template <class T, bool Plain, class Lane>
__device__ __forceinline__ void addVector(Lane* lanes, const Vector& v, const Attempt& attempt, const Powers& powers) {
  using A = typename Element<T>::A;
  GRADCLIP_UNROLL
  for (int c = 0; c < kComponents<T>; ++c) {
    auto bits = component<T>(v, c);
    if constexpr (Plain) {
      lanes[c].add(Element<T>::decode(bits), powers);
    } else {
      if (attempt.zero && absoluteBits<T>(bits) >= Element<T>::kInfinity) bits = 0;
      lanes[c].add(Element<T>::decode(bits) * static_cast<A>(attempt.factor), powers);
    }
  }
}

template <template <class> class Norm>
struct Add {
  Lanes<Norm>& lanes;
  const Vectors& v;
  const Attempt& attempt;
  const Powers& powers;

  template <class T>
  __device__ __forceinline__ void run() const {
    attempt.plain() ? add<T, true>() : add<T, false>();
  }

  __device__ __forceinline__ void unknown() const {}

 private:
  template <class T, bool Plain>
  __device__ __forceinline__ void add() const {
    GRADCLIP_UNROLL
    for (int k = 0; k < kInFlight; ++k) addVector<T, Plain>(lanes.template of<T>(), v.at[k], attempt, powers);
  }
};

template <template <class> class Norm>
struct Reduce {
  using Reduced = typename Norm<double>::Reduced;
  Lanes<Norm>& lanes;

  template <class T>
  __device__ __forceinline__ Reduced run() const {
    return reduceComponents<kComponents<T>>(lanes.template of<T>());
  }

  __device__ __forceinline__ Reduced unknown() const { return bitCast<Reduced>(kUnknown); }

 private:
  static constexpr std::uint64_t kUnknown = Element<double>::kNaN;
};

template <template <class> class Norm>
__device__ __forceinline__ double sumTile(std::int32_t dtype, const Tile& tile, const Attempt& attempt,
                                          const Powers& powers) {
  Lanes<Norm> lanes;
  const int lane = static_cast<int>(laneIndex()) * 16;
  for (int first = 0; first < tile.bytes; first += kInFlight * kStripe) {
    const int from = first + lane;
    Vectors v;
    if (tile.wholeAndAligned()) {
      loadAligned(v, tile.x + from);
    } else {
      load(v, tile.x + from, tile.bytes - from, tile.access);
    }
    dispatch(dtype, Add<Norm>{lanes, v, attempt, powers});
  }
  return reduceThreads<Norm<double>>(dispatch(dtype, Reduce<Norm>{lanes}), kThreads / 2);
}

/// Stores a partial; a float64 tile's goes to one of three planes.
__device__ __forceinline__ void storePartial(const MeasureParams& params, NormKind norm, const Row& row,
                                             std::uint32_t tile, double sum, const Attempt& attempt) {
  const bool only = row.onlyTile != 0;
  double* at = only ? params.sums.values + row.segment : params.partials.values + tile;
  if (static_cast<DType>(row.dtype) != DType::Float64) {
    storeGlobal(at, sum * attempt.after(norm));
  } else {
    const std::uint64_t stride = only ? params.sums.stride : params.partials.stride;
    GRADCLIP_UNROLL
    for (unsigned plane = kMiddle; plane <= kHigh; ++plane) {
      storeGlobal(at + plane * stride, plane == attempt.plane() ? sum : 0.0);
    }
  }
  if (attempt.zero) atomicOr(&params.control->zeroed, 1u);
}

__device__ __forceinline__ Powers powersOf(const MeasureParams& params, const Row& row) {
  if (params.maxima == nullptr) return {};
  return {params.p, loadGlobal<double>(params.maxima + row.segment)};
}

template <template <class> class Norm>
__device__ __forceinline__ void measureTile(const MeasureParams& params, std::uint32_t number, const Row& row) {
  constexpr NormKind kNorm = Norm<double>::kNorm;
  const Tile tile = tileOf(row, number);
  const Powers powers = powersOf(params, row);
  Attempt attempt;
  double sum;
  do {
    sum = sumTile<Norm>(row.dtype, tile, attempt, powers);
  } while (attempt.next(kNorm, row.dtype, sum, params.zeroNonFinite));
  if (laneIndex() == 0) storePartial(params, kNorm, row, number, sum, attempt);
}

/// Three blocks a multiprocessor leave 80 registers; with 64, architectures before sm_100 spill 100 to 190 bytes.
template <template <class> class Norm>
__global__ void __launch_bounds__(kBlockThreads, 3) measureKernel(const MeasureParams params) {
  for (std::uint32_t i = params.firstTile + warpIndex(); i < params.lastTile; i += warpCount()) {
    measureTile<Norm>(params, i, rowOfTile(params.tiles, i));
  }
}

using Kernel = void (*)(MeasureParams);

Kernel kernelOf(NormKind norm) {
  switch (norm) {
    case NormKind::L1: return measureKernel<AbsoluteSum>;
    case NormKind::L2: return measureKernel<SquareSum>;
    case NormKind::Inf: return measureKernel<Maximum>;
    case NormKind::Power: return measureKernel<PowerSum>;
  }
  return nullptr;
}

}  // namespace

cudaError_t findMeasureGrids(int device, Grids* grids) {
  for (NormKind norm : {NormKind::L1, NormKind::L2, NormKind::Inf, NormKind::Power}) {
    const cudaError_t error = residentBlocks(device, kernelOf(norm), &grids->measure[ordinal(norm)]);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

cudaError_t enqueueMeasure(const Grids& grids, cudaStream_t stream, NormKind norm, const MeasureParams& params) {
  const Kernel kernel = kernelOf(norm);
  if (kernel == nullptr) return cudaErrorInvalidValue;
  const unsigned blocks = blocksFor(params.lastTile - params.firstTile, grids.measure[ordinal(norm)]);
  return launch(kernel, blocks, kBlockThreads, 0, stream, params);
}

}  // namespace gradclip
