// SPDX-License-Identifier: Apache-2.0
// Changes tiles in place: a warp a tile.
#pragma once

#include "kernels/tiles.cuh"

namespace gradclip {

/// Bytes that a lane's vector k has of `left`; 0 or less where it has none.
__device__ __forceinline__ int bytesOf(int k, int left) { return left - k * kStripe; }

/// change.apply(vectors, left) on a lane's next vectors; a vector is stored where its bit in the result is set.
template <class Change>
__device__ __forceinline__ void transform(const Tile& tile, int from, Change& change) {
  Byte* const p = tile.x + from;
  const int left = tile.bytes - from;
  const bool aligned = tile.wholeAndAligned();
  Vectors v;
  if (aligned) {
    loadAligned(v, p);
  } else {
    load(v, p, left, tile.access);
  }
  const unsigned writes = change.apply(v, left);
  GRADCLIP_UNROLL
  for (int k = 0; k < kInFlight; ++k) {
    if ((writes >> k & 1u) == 0) continue;
    if (aligned) {
      storeVector<Access::Whole>(p + k * kStripe, v.at[k]);
    } else if (bytesOf(k, left) > 0) {
      store(p + k * kStripe, bytesOf(k, left), v.at[k], tile.access);
    }
  }
}

template <class Change>
__device__ __forceinline__ void transformTile(const Tile& tile, Change& change) {
  const int lane = static_cast<int>(laneIndex()) * 16;
  for (int first = 0; first < tile.bytes; first += kInFlight * kStripe) transform(tile, first + lane, change);
}

}  // namespace gradclip
