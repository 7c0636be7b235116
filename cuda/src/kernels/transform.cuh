// SPDX-License-Identifier: Apache-2.0
// Changes tiles in place, a warp a tile. A Change has of<T>(): a function that changes a vector, and says whether to
// store it.
#pragma once

#include "kernels/tiles.cuh"

namespace gradclip {

/// A whole, aligned tile. Count of a lane's vectors are loaded before the first is changed.
template <int Count, class Change>
struct ChangeWhole {
  Byte* lane;
  const Change& change;

  template <class T>
  __device__ __forceinline__ void run() const {
    const auto one = change.template of<T>();
    GRADCLIP_UNROLL
    for (int first = 0; first < kStripes; first += Count) {
      Byte* const p = lane + first * kStripe;
      Vectors<Count> v = loadAligned<Count>(p);
      __syncwarp(kAllLanes);  // or the compiler puts loads off until registers are free
      GRADCLIP_UNROLL
      for (int k = 0; k < Count; ++k) {
        if (one(v.at[k])) storeVector<Access::Whole>(p + k * kStripe, v.at[k]);
      }
    }
  }

  __device__ __forceinline__ void unknown() const {}
};

/// The bits of those vectors that are to be stored.
template <class Change>
struct ChangeFew {
  Vectors<kFew>& v;
  const Change& change;

  template <class T>
  __device__ __forceinline__ unsigned run() const {
    const auto one = change.template of<T>();
    unsigned writes = 0;
    GRADCLIP_UNROLL
    for (int k = 0; k < kFew; ++k) writes |= one(v.at[k]) ? 1u << k : 0u;
    return writes;
  }

  __device__ __forceinline__ unsigned unknown() const { return 0; }
};

/// The first `bytes` of a tile, a few of a lane's vectors at a time; what is not there is 0.
template <class Change>
__device__ __forceinline__ void transformFew(std::int32_t dtype, const Tile& tile, int bytes, const Change& change) {
  for (int first = 0; first < bytes; first += kFew * kStripe) {
    const int from = first + static_cast<int>(laneIndex()) * 16;
    Vectors<kFew> v;
    load(v, tile.x + from, bytes - from, tile.access);
    const unsigned writes = dispatch(dtype, ChangeFew<Change>{v, change});
    GRADCLIP_UNROLL
    for (int k = 0; k < kFew; ++k) {
      const int at = from + k * kStripe;
      if ((writes >> k & 1u) != 0 && at < bytes) store(tile.x + at, bytes - at, v.at[k], tile.access);
    }
  }
}

/// change(vector, bytes) on one vector after the other, from an offset in the tile on; `bytes` or more of it are there.
template <class Change>
__device__ __forceinline__ void transformEach(const Tile& tile, int first, const Change& change) {
  for (int from = first + static_cast<int>(laneIndex()) * 16; from < tile.bytes; from += kStripe) {
    const int left = tile.bytes - from;
    Vector v = loadOne(tile.x + from, left, tile.access);
    if (change(v, left)) store(tile.x + from, left, v, tile.access);
  }
}

}  // namespace gradclip
