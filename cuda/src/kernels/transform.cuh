// SPDX-License-Identifier: Apache-2.0
// Changes tiles in place, a warp a tile. A Change has of<T>(): a function that changes a vector, and says whether to
// store it.
#pragma once

#include "kernels/tiles.cuh"

namespace gradclip {

/// A whole, aligned tile. Count of a lane's vectors are loaded before the first is changed.
template <int Count, class Change, class Source>
struct ChangeWhole {
  Byte* lane;
  const Change& change;
  Source source;

  template <class T>
  __device__ __forceinline__ void run() const {
    const auto one = change.template of<T>();
    GRADCLIP_UNROLL
    for (int first = 0; first < kStripes; first += Count) {
      Byte* const p = lane + first * kStripe;
      Vectors<Count> v = source.template vectors<Count>(first);
      __syncwarp(kAllLanes);  // or the compiler puts loads off until registers are free
      GRADCLIP_UNROLL
      for (int k = 0; k < Count; ++k) {
        if (one(v.at[k])) storeVector<Access::Whole>(p + k * kStripe, v.at[k]);
      }
    }
  }

  __device__ __forceinline__ void unknown() const {}
};

/// The bits of those of the first `count` vectors that are to be stored.
template <class Change>
struct ChangeFew {
  Vectors<kFew>& v;
  const Change& change;
  int count = kFew;

  template <class T>
  __device__ __forceinline__ unsigned run() const {
    const auto one = change.template of<T>();
    unsigned writes = 0;
    GRADCLIP_UNROLL
    for (int k = 0; k < kFew; ++k) {
      if (k < count) writes |= one(v.at[k]) ? 1u << k : 0u;
    }
    return writes;
  }

  __device__ __forceinline__ unsigned unknown() const { return 0; }
};

/// Bytes that a lane's vector k has of `left`; 0 or less where it has none.
__device__ __forceinline__ int bytesOf(int k, int left) { return left - k * kStripe; }

/// change(vectors, left) on a few of a lane's vectors after the other; `left` bytes of them are there, the others 0. A
/// vector is stored in `tile` where its bit in the result is set.
template <class Place, class Source, class Work>
__device__ __forceinline__ void transformFew(const Place& tile, const Source& source, const Work& change) {
  const int bytes = tile.bytes();
  for (int first = 0; first < bytes; first += kFew * kStripe) {
    const int from = first + static_cast<int>(laneIndex()) * 16, left = bytes - from;
    Vectors<kFew> v = source.few(first);
    const unsigned writes = change(v, left);
    GRADCLIP_UNROLL
    for (int k = 0; k < kFew; ++k) {
      if ((writes >> k & 1u) == 0 || bytesOf(k, left) <= 0) continue;
      tile.put(from + k * kStripe, v.at[k]);
    }
  }
}

}  // namespace gradclip
