// SPDX-License-Identifier: Apache-2.0
// Level 4 of the canonical reduction, a warp at a time.
#pragma once

#include "common/norms_and_coefficients.hpp"
#include "kernels/device_structs.hpp"
#include "kernels/device_words.cuh"

namespace gradclip {

/// Sums, or the largest of the entries, none of which is negative.
template <bool kLargest>
__device__ __forceinline__ double combine(double a, double b) {
  return kLargest ? maximum(a, b) : a + b;
}

constexpr std::uint32_t kWidth = 256;

/// Folds n entries that lie in the first kBlocks times kLanes places of a run: a lane loads its kBlocks * kLanes /
/// kWarp entries before it adds the first, so that the warp waits for memory once. What lies beyond the end counts as
/// 0. All lanes get the result. `at`: the address of an entry.
template <bool kLargest, std::uint32_t kBlocks, std::uint32_t kLanes, class At>
__device__ __forceinline__ double foldPlaces(At at, std::uint32_t n) {
  constexpr std::uint32_t kPerLane = kLanes / kWarp;
  double loaded[kBlocks][kPerLane];
  GRADCLIP_UNROLL
  for (std::uint32_t block = 0; block < kBlocks; ++block) {
    GRADCLIP_UNROLL
    for (std::uint32_t k = 0; k < kPerLane; ++k) {
      const std::uint32_t i = block * kWidth + k * kWarp + laneIndex();
      loaded[block][k] = i < n ? loadGlobal<double>(at(i)) : 0.0;
    }
  }
  double sums[kPerLane];
  GRADCLIP_UNROLL
  for (std::uint32_t k = 0; k < kPerLane; ++k) {
    sums[k] = loaded[0][k];
    GRADCLIP_UNROLL
    for (std::uint32_t block = 1; block < kBlocks; ++block) sums[k] = combine<kLargest>(sums[k], loaded[block][k]);
  }
  GRADCLIP_UNROLL
  for (std::uint32_t half = kPerLane / 2; half > 0; half /= 2) {
    GRADCLIP_UNROLL
    for (std::uint32_t k = 0; k < half; ++k) sums[k] = combine<kLargest>(sums[k], sums[k + half]);
  }
  return acrossLanes(sums[0], combine<kLargest>);
}

/// Folds at most kRun entries. Most segments have few tiles.
template <bool kLargest>
__device__ GRADCLIP_NOINLINE double foldRunOf(const double* entries, std::uint32_t n) {
  const auto at = [entries](std::uint32_t i) { return entries + i; };
  return n <= kWarp ? foldPlaces<kLargest, 1, kWarp>(at, n) : foldPlaces<kLargest, kRun / kWidth, kWidth>(at, n);
}

/// The same of entries that are `stride` apart.
template <bool kLargest>
__device__ GRADCLIP_NOINLINE double foldEveryOf(const double* entries, std::uint32_t n, std::uint32_t stride) {
  const auto at = [entries, stride](std::uint32_t i) { return entries + std::size_t{i} * stride; };
  return n <= kWarp ? foldPlaces<kLargest, 1, kWarp>(at, n) : foldPlaces<kLargest, kRun / kWidth, kWidth>(at, n);
}

__device__ __forceinline__ double foldEvery(bool largest, const double* entries, std::uint32_t n,
                                            std::uint32_t stride) {
  return largest ? foldEveryOf<true>(entries, n, stride) : foldEveryOf<false>(entries, n, stride);
}

__device__ __forceinline__ double foldRun(bool largest, const double* entries, std::uint32_t n) {
  return largest ? foldRunOf<true>(entries, n) : foldRunOf<false>(entries, n);
}

GRADCLIP_HD constexpr std::uint32_t runsIn(std::uint32_t entries) { return (entries + kRun - 1) / kRun; }

/// Folds stored entries of any number, level after level. Overwrites `entries` from the third level on; `scratch` has
/// room for their runs' sums.
__device__ inline double foldLevels(bool largest, double* entries, double* scratch, std::uint32_t n) {
  while (n > kRun) {
    const std::uint32_t runs = runsIn(n);
    for (std::uint32_t run = 0; run < runs; ++run) {
      const std::uint32_t left = n - run * kRun;
      const double sum = foldRun(largest, entries + run * kRun, left < kRun ? left : kRun);
      if (laneIndex() == 0) storeGlobal(scratch + run, sum);
    }
    __syncwarp(kAllLanes);
    double* const read = entries;
    entries = scratch;
    scratch = read;
    n = runs;
  }
  return foldRun(largest, entries, n);
}

}  // namespace gradclip
