// SPDX-License-Identifier: Apache-2.0
// Levels 1 to 3 of the canonical reduction: one partial per tile.
#pragma once

#include "kernels/launches.hpp"
#include "kernels/norms.cuh"
#include "kernels/tiles.cuh"

namespace gradclip {

constexpr std::uint64_t kUnknown = Element<double>::kNaN;

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

__device__ __forceinline__ bool noneSet(std::uint32_t bits) { return __any_sync(kAllLanes, bits != 0) == 0; }

template <int N>
__device__ __forceinline__ std::uint32_t bitsOf(const Vectors<N>& v) {
  std::uint32_t bits = 0;
  GRADCLIP_UNROLL
  for (const Vector& one : v.at) bits |= one.word[0] | one.word[1] | one.word[2] | one.word[3];
  return bits;
}

/// Stores a partial by one lane; a float64 tile's goes to one of three planes.
__device__ __forceinline__ void storePartial(const MeasureParams& params, NormKind norm, const DevicePiece& piece,
                                             std::uint32_t tile, bool planes, double sum, const Attempt& attempt) {
  if (laneIndex() != 0) return;
  const bool only = piece.onlyTile != 0;
  double* at = only ? params.sums.values + piece.segment : params.partials.values + tile;
  if (!planes) {
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

/// Adds up a whole tile as it is and stores the sum, where that is good enough, or false.
template <template <class> class Norm, class Source>
struct MeasureWhole {
  static constexpr NormKind kNorm = Norm<double>::kNorm;
  static constexpr int kVectors = kTuning.measure.vectors;
  const MeasureParams& params;
  const DevicePiece& piece;
  std::uint32_t number;
  Source source;

  template <class T>
  __device__ __forceinline__ bool run() const {
    Norm<typename Element<T>::A> lanes[kComponents<T>];
    std::uint32_t before = 0;
    Vectors<kVectors> v;
    GRADCLIP_UNROLL
    for (int first = 0; first < kStripes; first += kVectors) {
      if (first > 0) before |= bitsOf(v);
      v = source.template vectors<kVectors>(first);
      GRADCLIP_UNROLL
      for (int k = 0; k < kVectors; ++k) {
        GRADCLIP_UNROLL
        for (int c = 0; c < kComponents<T>; ++c) {
          const auto x = Element<T>::decode(component<T>(v.at[k], c));
          first + k == 0 ? lanes[c].start(x) : lanes[c].add(x);
        }
      }
    }
    const double sum = reduceThreads<Norm<double>>(reduceComponents<kComponents<T>>(lanes));
    constexpr bool kInRange = kNorm == NormKind::Inf || std::is_same_v<T, Float16>;  // always, if it is finite
    const bool good = kInRange ? isFinite(sum) : Attempt::isInRange(kNorm, kTypeOf<T>, sum);
    if (!good && (sum != 0 || !noneSet(before | bitsOf(v)))) return false;
    storePartial(params, kNorm, piece, number, sizeof(T) == 8, sum, Attempt{});
    return true;
  }

  __device__ __forceinline__ bool unknown() const { return false; }
};

template <template <class> class Norm>
struct Add {
  Lanes<Norm>& lanes;
  const Vectors<kFew>& v;
  const Attempt& attempt;
  const Powers& powers;

  template <class T>
  __device__ __forceinline__ void run() const {
    const auto factor = static_cast<typename Element<T>::A>(attempt.factor);
    GRADCLIP_UNROLL
    for (const Vector& one : v.at) {
      GRADCLIP_UNROLL
      for (int c = 0; c < kComponents<T>; ++c) {
        auto bits = component<T>(one, c);
        if (attempt.zero && absoluteBits<T>(bits) >= Element<T>::kInfinity) bits = 0;
        lanes.template of<T>()[c].add(Element<T>::decode(bits) * factor, powers);
      }
    }
  }

  __device__ __forceinline__ void unknown() const {}
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
};

/// Adds up any tile, in any way. Multiplying by 1 where nothing is rescaled costs issue slots that a tile which is not
/// aligned has to spare.
template <template <class> class Norm, class Source>
__device__ __forceinline__ TileSum addAny(std::int32_t dtype, int bytes, const Source& source, const Attempt& attempt,
                                          const Powers& powers) {
  Lanes<Norm> lanes;
  std::uint32_t bits = 0;
  for (int first = 0; first < bytes; first += kFew * kStripe) {
    const Vectors<kFew> v = source.few(first);
    bits |= bitsOf(v);
    dispatch(dtype, Add<Norm>{lanes, v, attempt, powers});
  }
  const double sum = reduceThreads<Norm<double>>(dispatch(dtype, Reduce<Norm>{lanes}));
  return {sum, noneSet(bits)};
}

__device__ __forceinline__ Powers powersOf(const MeasureParams& params, const DevicePiece& piece) {
  if (params.maxima == nullptr) return {};
  return {params.p, loadGlobal<double>(params.maxima + piece.segment)};
}

template <template <class> class Norm, class Source>
__device__ __forceinline__ void measureAny(const MeasureParams& params, std::uint32_t number, const DevicePiece& piece,
                                           int bytes, const Source& source) {
  constexpr NormKind kNorm = Norm<double>::kNorm;
  Attempt attempt;
  TileSum sum;
  do {
    sum = addAny<Norm>(piece.dtype, bytes, source, attempt, powersOf(params, piece));
  } while (attempt.next(kNorm, piece.dtype, sum, params.zeroNonFinite));
  storePartial(params, kNorm, piece, number, static_cast<DType>(piece.dtype) == DType::Float64, sum.sum, attempt);
}

template <template <class> class Norm>
__device__ __forceinline__ void measureTile(const MeasureParams& params, std::uint32_t number,
                                            const DevicePiece& piece) {
  if constexpr (Norm<double>::kNorm != NormKind::Power) {
    // The same in all lanes; the compiler, told so, needs no code for lanes that go different ways to the shuffles.
    const int kind = __shfl_sync(kAllLanes, isWhole(piece, number) ? piece.dtype : -1, 0);
    if (kind >= 0 && dispatch(kind, MeasureWhole<Norm, InPlace>{params, piece, number, {laneOf(piece, number)}}))
      return;
  }
  if (piece.strided != 0) {
    const Gathered tile = gatheredOf(params.tiles, piece, number);
    measureAny<Norm>(params, number, piece, tile.bytes(), tile);
    return;
  }
  const Tile tile = tileOf(piece, number);
  measureAny<Norm>(params, number, piece, tile.bytes, Loaded{tile});
}

}  // namespace gradclip
