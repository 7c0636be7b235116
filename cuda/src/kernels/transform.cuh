// SPDX-License-Identifier: Apache-2.0
// Changes tiles in place, a warp a tile.
#pragma once

#include "kernels/tiles.cuh"

namespace gradclip {

/// change(vector) on every vector of a whole, aligned tile, which is stored where that returns true. Count of them are loaded
/// before the first is changed.
template <int Count, class Change>
__device__ __forceinline__ void transformWhole(Byte* x, const Change& change) {
  Byte* const lane = x + laneIndex() * 16;
  GRADCLIP_UNROLL
  for (int first = 0; first < kStripes; first += Count) {
    Byte* const p = lane + first * kStripe;
    Vectors<Count> v = loadAligned<Count>(p);
    GRADCLIP_UNROLL
    for (int k = 0; k < Count; ++k) {
      if (change(v.at[k])) storeVector<Access::Whole>(p + k * kStripe, v.at[k]);
    }
  }
}

/// Bytes that a lane's vector k has of `left`; 0 or less where it has none.
__device__ __forceinline__ int bytesOf(int k, int left) { return left - k * kStripe; }

/// change(vectors, left) on a lane's vectors of any tile, a few at a time, of which `left` bytes are there; a vector is stored
/// where its bit in the result is set.
template <class Change>
__device__ __forceinline__ void transformAny(const Tile& tile, const Change& change) {
  for (int first = 0; first < tile.bytes; first += kFew * kStripe) {
    const int from = first + static_cast<int>(laneIndex()) * 16, left = tile.bytes - from;
    Vectors<kFew> v;
    load(v, tile.x + from, left, tile.access());
    const unsigned writes = change(v, left);
    GRADCLIP_UNROLL
    for (int k = 0; k < kFew; ++k) {
      if ((writes >> k & 1u) == 0 || bytesOf(k, left) <= 0) continue;
      store(tile.x + from + k * kStripe, bytesOf(k, left), v.at[k], tile.access());
    }
  }
}

}  // namespace gradclip
