// SPDX-License-Identifier: Apache-2.0
// Changes tiles in place: a warp a tile, or four lanes a short tile.
#pragma once

#include "kernels/tiles.cuh"

namespace gradclip {

/// Bytes that vector k of those Step apart has of `left`; 0 or less where it has none.
template <int Step>
__device__ __forceinline__ int bytesOf(int k, int left) {
  return left - k * Step * 16;
}

/// change<Step>(vectors, left) on the vectors 0, Step, 2·Step, … of the `left` bytes at p; a vector is stored where its
/// bit in the result is set.
template <int Step, class Change>
__device__ __forceinline__ void transform(const Tile& tile, int from, Change& change) {
  Byte* const p = tile.x + from;
  const int left = tile.bytes - from;
  const bool aligned = tile.wholeAndAligned();
  Vectors v;
  if (aligned) {
    loadAligned<Step>(v, p);
  } else {
    load<Step>(v, p, left, tile.access);
  }
  const unsigned writes = change.template apply<Step>(v, left);
  GRADCLIP_UNROLL
  for (int k = 0; k < kInFlight; ++k) {
    if ((writes >> k & 1u) == 0) continue;
    if (aligned) {
      storeVector<Access::Whole>(p + k * Step * 16, v.at[k]);
    } else if (bytesOf<Step>(k, left) > 0) {
      store(p + k * Step * 16, bytesOf<Step>(k, left), v.at[k], tile.access);
    }
  }
}

template <class Change>
__device__ __forceinline__ void transformTile(const Tile& tile, Change& change) {
  const int lane = static_cast<int>(laneIndex()) * 16;
  for (int first = 0; first < tile.bytes; first += kInFlight * kStripe) transform<kThreads>(tile, first + lane, change);
}

template <class Change>
__device__ __forceinline__ void transformShortTile(const Tile& tile, Change& change) {
  for (int round = 0; round < kShortRounds; ++round) {
    transform<kShortLanes * kShortRounds>(tile, (round * kShortLanes + shortLane()) * 16, change);
  }
}

}  // namespace gradclip
