// SPDX-License-Identifier: Apache-2.0
// Multiplies backwards, for what was measured last is still in the L2 cache.
#include "kernels/scale.cuh"

#include "kernels/grids.hpp"
#include "kernels/last_block.cuh"
#include "kernels/launch.hpp"

namespace gradclip {

__global__ void __launch_bounds__(kBlockThreads, kTuning.scale.blocks) scaleKernel(const ScaleParams params) {
  awaitKernelBefore();
  // Writes to the host's memory take longer than a small clip: one thread's, while all others scale, instead of
  // decide's.
  if (blockIdx.x == gridDim.x - 1 && threadIdx.x == blockDim.x - 1) passOn(params.result, params.slot);
  const Decision decision = loadStruct(params.decision);
  if (touchesNothing(decision)) return;
  forEachTile(params.tiles, params.tileCount, [&](std::uint32_t i) { return params.tileCount - 1 - i; },
              [&](std::uint32_t tile, const DevicePiece& piece) {
                scaleTile(scalingOf(params, decision, piece), params.tiles, tile, piece, InPlace{laneOf(piece, tile)},
                          Loaded{tileOf(piece, tile)});
              });
}

cudaError_t findScaleGrid(int device, Grids* grids) {
  const cudaError_t error = residentBlocks(device, scaleKernel, &grids->scale);
  return error == cudaSuccess ? canFollow(scaleKernel, &grids->follow) : error;
}

cudaError_t enqueueScale(const Grids& grids, cudaStream_t stream, const ScaleParams& params, bool behind) {
  const unsigned blocks = blocksFor(params.tileCount, grids.scale);
  return launch(scaleKernel, blocks, kBlockThreads, 0, stream, params, behind ? How::Behind : How::Alone);
}

}  // namespace gradclip
