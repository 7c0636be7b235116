// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/launches.hpp"

namespace gradclip {

/// Blocks of one kernel that the device holds at once, at least one where they need no shared memory to speak of.
template <class P>
cudaError_t residentBlocks(int device, void (*kernel)(P), unsigned* blocks, std::size_t sharedBytes = 0,
                           unsigned threads = kBlockThreads) {
  int processors = 0, each = 0;
  cudaError_t error = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  if (error != cudaSuccess) return error;
  error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, static_cast<int>(threads), sharedBytes);
  *blocks = static_cast<unsigned>(processors * (each > 0 || sharedBytes > 0 ? each : 1));
  return error;
}

/// Whether a kernel has the words of dependent launches: code that the driver made of older PTX lacks them.
template <class P>
cudaError_t canFollow(void (*kernel)(P), bool* can) {
  cudaFuncAttributes attributes{};
  const cudaError_t error = cudaFuncGetAttributes(&attributes, kernel);
  *can = *can && attributes.ptxVersion >= 90;
  return error;
}

/// Blocks for a number of warps' worth of work, at least one.
inline unsigned blocksFor(std::uint64_t warps, unsigned resident, unsigned threads = kBlockThreads) {
  const std::uint64_t wanted = (warps + threads / 32 - 1) / (threads / 32);
  return wanted == 0 ? 1 : wanted < resident ? static_cast<unsigned>(wanted) : resident;
}

// One for each file of kernels; findGrids calls them.
cudaError_t findMeasureGrids(int device, Grids* grids);
cudaError_t findLaggedGrids(int device, Grids* grids);
cudaError_t findDecideGrid(int device, Grids* grids);
cudaError_t findScaleGrid(int device, Grids* grids);
cudaError_t findClampGrid(int device, Grids* grids);
cudaError_t findUpdateGrids(int device, Grids* grids);

}  // namespace gradclip
