// SPDX-License-Identifier: Apache-2.0
// Measures and scales in one pass, where the coefficient is known before the norm: each element is read once and
// written once, where measure and scale read it twice. Not for plans with units along an axis, which would cost it registers. The order of additions, and all that is written, are the same;
// decide follows, and finds the coefficient once more.
#include <initializer_list>

#include "kernels/grids.hpp"
#include "kernels/kept.cuh"
#include "kernels/last_block.cuh"
#include "kernels/launch.hpp"
#include "kernels/recall.cuh"
#include "kernels/scale.cuh"

namespace gradclip {
namespace {

/// Of a block: a tile for each warp is 32 KiB, three times of which fit where a multiprocessor has 100, and no more
/// than any kernel may have unasked.
constexpr unsigned kThreadsOfBlock = 128;
constexpr std::size_t kSharedBytes = kThreadsOfBlock / kWarp * kTileBytes;

/// What multiplies all gradients, as decide finds it.
__device__ __forceinline__ Scaling laggedScaling(const LaggedParams& p) {
  const NormLimit limit = limitNow(p.capture, p.limit);
  const double coefficient = recalling::lagged(loadHead(p.history), limit);
  return {ofScaled(coefficient, limit.inverseScale), false};
}

}  // namespace

template <template <class> class Norm>
__global__ void __launch_bounds__(kThreadsOfBlock, kOnePassBlocks) laggedKernel(const LaggedParams p) {
  bringUpKernelBehind();
  const Kept kept = {sharedMemory<uint4>() + warpInBlock() * (kTileBytes / sizeof(uint4)) + laneIndex()};
  const Scaling scaling = laggedScaling(p);
  forEachTile(p.measure.tiles, p.measure.lastTile, [](std::uint32_t i) { return i; },
              [&](std::uint32_t tile, const DevicePiece& piece) {
                keepTile<false>(kept, p.measure.tiles, piece, tile);
                measureKept<Norm>(p.measure, kept, tile, piece);
                scaleTile<false>(scaling, p.measure.tiles, tile, piece, kept, kept);
              });
}

namespace {

using Kernel = void (*)(LaggedParams);

Kernel kernelOf(NormKind norm) {
  switch (norm) {
    case NormKind::L1: return laggedKernel<AbsoluteSum>;
    case NormKind::L2: return laggedKernel<SquareSum>;
    case NormKind::Inf: return laggedKernel<Maximum>;
    case NormKind::Power: break;
  }
  return nullptr;
}

}  // namespace

cudaError_t findLaggedGrids(int device, Grids* grids) {
  for (NormKind norm : {NormKind::L1, NormKind::L2, NormKind::Inf}) {
    unsigned* const blocks = &grids->lagged[ordinal(norm)];
    const cudaError_t error = residentBlocks(device, kernelOf(norm), blocks, kSharedBytes, kThreadsOfBlock);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

cudaError_t enqueueLagged(const Grids& grids, cudaStream_t stream, NormKind norm, const LaggedParams& params) {
  const Kernel kernel = kernelOf(norm);
  if (kernel == nullptr) return cudaErrorInvalidValue;
  const unsigned blocks = blocksFor(params.measure.lastTile, grids.lagged[ordinal(norm)], kThreadsOfBlock);
  return launch(kernel, blocks, kThreadsOfBlock, kSharedBytes, stream, params);
}

}  // namespace gradclip
