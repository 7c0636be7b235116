// SPDX-License-Identifier: Apache-2.0
// A tile that stays in shared memory between norm and scale.
#pragma once

#include "kernels/measure.cuh"

namespace gradclip {

/// A lane's vectors of a tile, filled up with 0. No other lane touches them, so nobody waits for anybody.
struct Kept {
  uint4* lane;

  template <int N>
  __device__ __forceinline__ Vectors<N> vectors(int stripe) const {
    Vectors<N> v;
    GRADCLIP_UNROLL
    for (int k = 0; k < N; ++k) {
      const uint4 all = lane[(stripe + k) * kThreads];
      v.at[k] = Vector{{all.x, all.y, all.z, all.w}};
    }
    return v;
  }

  __device__ __forceinline__ Vectors<kFew> few(int first) const { return vectors<kFew>(first / kStripe); }

  template <int N>
  __device__ __forceinline__ void keep(int stripe, const Vectors<N>& v) const {
    GRADCLIP_UNROLL
    for (int k = 0; k < N; ++k) {
      const auto& word = v.at[k].word;
      lane[(stripe + k) * kThreads] = uint4{word[0], word[1], word[2], word[3]};
    }
  }
};

/// Reads a tile, once. Where no piece is `strided`, the kernel shall not pay for that in registers.
template <bool strided = true>
__device__ __forceinline__ void keepTile(const Kept& kept, const TileTable& tiles, const DevicePiece& piece,
                                         std::uint32_t number) {
  if (isWhole(piece, number)) {
    kept.keep(0, InPlace{laneOf(piece, number)}.vectors<kStripes>(0));
    return;
  }
  const auto keep = [&](const auto& tile) {
    for (int first = 0; first < kTile; first += kFew * kStripe) kept.keep(first / kStripe, tile.few(first));
  };
  if constexpr (strided) {
    if (piece.strided != 0) return keep(gatheredOf(tiles, piece, number));
  }
  keep(Loaded{tileOf(piece, number)});
}

/// A tile in shared memory is whole, whatever it is in global memory.
template <template <class> class Norm>
__device__ __forceinline__ void measureKept(const MeasureParams& params, const Kept& kept, std::uint32_t number,
                                            const DevicePiece& piece) {
  const int kind = __shfl_sync(kAllLanes, static_cast<int>(piece.dtype), 0);
  if (dispatch(kind, MeasureWhole<Norm, Kept>{params, piece, number, kept})) return;
  measureAny<Norm>(params, number, piece, kTile, kept);
}

}  // namespace gradclip
