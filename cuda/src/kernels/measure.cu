// SPDX-License-Identifier: Apache-2.0
#include "kernels/measure.cuh"

#include <initializer_list>

#include "kernels/grids.hpp"
#include "kernels/launch.hpp"

namespace gradclip {

template <template <class> class Norm>
__global__ void __launch_bounds__(kBlockThreads, kTuning.measure.blocks) measureKernel(const MeasureParams params) {
  bringUpKernelBehind();
  forEachTile(params.tiles, params.lastTile - params.firstTile, [&](std::uint32_t i) { return params.firstTile + i; },
              [&](std::uint32_t tile, const DevicePiece& piece) { measureTile<Norm>(params, tile, piece); });
}

namespace {

using Kernel = void (*)(MeasureParams);

Kernel kernelOf(NormKind norm) {
  switch (norm) {
    case NormKind::L1: return measureKernel<AbsoluteSum>;
    case NormKind::L2: return measureKernel<SquareSum>;
    case NormKind::Inf: return measureKernel<Maximum>;
    case NormKind::Power: return measureKernel<PowerSum>;
  }
  return nullptr;
}

}  // namespace

cudaError_t findMeasureGrids(int device, Grids* grids) {
  for (NormKind norm : {NormKind::L1, NormKind::L2, NormKind::Inf, NormKind::Power}) {
    const cudaError_t error = residentBlocks(device, kernelOf(norm), &grids->measure[ordinal(norm)]);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

cudaError_t enqueueMeasure(const Grids& grids, cudaStream_t stream, NormKind norm, const MeasureParams& params) {
  const Kernel kernel = kernelOf(norm);
  if (kernel == nullptr) return cudaErrorInvalidValue;
  const unsigned blocks = blocksFor(params.lastTile - params.firstTile, grids.measure[ordinal(norm)]);
  return launch(kernel, blocks, kBlockThreads, 0, stream, params);
}

}  // namespace gradclip
