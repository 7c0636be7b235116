// SPDX-License-Identifier: Apache-2.0
// Level 4 of the canonical reduction, a warp at a time.
#pragma once

#include "common/norms_and_coefficients.hpp"
#include "kernels/device_structs.hpp"
#include "kernels/device_words.cuh"

namespace gradclip {

/// Sums, or the largest of the entries, none of which is negative.
struct Combine {
  bool largest;

  __device__ __forceinline__ double operator()(double a, double b) const { return largest ? maximum(a, b) : a + b; }
};

/// Folds the entries 0 to n - 1, at most kRun: entry(i) gives one. All lanes get the result.
template <class Entry>
__device__ __forceinline__ double foldRun(const Combine& combine, std::uint32_t n, const Entry& entry) {
  constexpr std::uint32_t kWidth = 256, kPerLane = kWidth / kWarp;
  double sums[kPerLane] = {};
  GRADCLIP_UNROLL
  for (std::uint32_t k = 0; k < kPerLane; ++k) {
    if (k * kWarp >= n) break;
    GRADCLIP_UNROLL
    for (std::uint32_t block = 0; block < kRun; block += kWidth) {
      const std::uint32_t i = block + k * kWarp + laneIndex();
      if (i < n) sums[k] = combine(sums[k], entry(i));
    }
  }
  GRADCLIP_UNROLL
  for (std::uint32_t half = kPerLane / 2; half > 0; half /= 2) {
    GRADCLIP_UNROLL
    for (std::uint32_t k = 0; k < half; ++k) sums[k] = combine(sums[k], sums[k + half]);
  }
  double sum = sums[0];
  for (int half = kWarp / 2; half > 0; half /= 2) sum = combine(sum, __shfl_xor_sync(kAllLanes, sum, half));
  return sum;
}

GRADCLIP_HD constexpr std::uint32_t runsIn(std::uint32_t entries) { return (entries + kRun - 1) / kRun; }

__device__ __forceinline__ double foldStored(const Combine& combine, const double* entries, std::uint32_t n) {
  return foldRun(combine, n, [entries](std::uint32_t i) { return loadGlobal<double>(entries + i); });
}

/// Folds stored entries of any number, level after level. Overwrites `entries` from the third level on; `scratch` has room
/// for their runs' sums.
__device__ inline double foldLevels(const Combine& combine, double* entries, double* scratch, std::uint32_t n) {
  while (n > kRun) {
    const std::uint32_t runs = runsIn(n);
    for (std::uint32_t run = 0; run < runs; ++run) {
      const std::uint32_t left = n - run * kRun;
      const double sum = foldStored(combine, entries + run * kRun, left < kRun ? left : kRun);
      if (laneIndex() == 0) storeGlobal(scratch + run, sum);
    }
    __syncwarp(kAllLanes);
    double* const read = entries;
    entries = scratch;
    scratch = read;
    n = runs;
  }
  return foldStored(combine, entries, n);
}

}  // namespace gradclip
