// SPDX-License-Identifier: Apache-2.0
// A whole clip in one launch, where the gradients fit in the shared memory of blocks that run together: each element is
// read once, where three launches read it twice. The order of additions, and all that is written, are the same.
#include <initializer_list>

#include "kernels/decide.cuh"
#include "kernels/grids.hpp"
#include "kernels/kept.cuh"
#include "kernels/launch.hpp"
#include "kernels/scale.cuh"

namespace gradclip {
namespace {

/// Calls work(kept, tile, piece) for each of the warp's tiles; `kept` is its place in the block's shared memory.
template <class Work>
__device__ __forceinline__ void forEachKept(const ScaleParams& params, Shared* shared, const Work& work) {
  uint4* const first = reinterpret_cast<uint4*>(shared + 1) + threadIdx.x % kWarp;
  unsigned place = warpInBlock();
  forEachTile(params.tiles, params.tileCount, [](std::uint32_t i) { return i; },
              [&](std::uint32_t tile, const DevicePiece& piece) {
                work(Kept{first + place * (kTileBytes / sizeof(uint4))}, tile, piece);
                place += warpsInBlock();
              });
}

}  // namespace

template <template <class> class Norm>
__global__ void __launch_bounds__(kBlockThreads, kOneLaunchBlocks) oneLaunchKernel(const OneLaunchParams p) {
  Shared& shared = *sharedMemory<Shared>();
  Control* const control = p.decide.control;
  unsigned passed = threadIdx.x == 0 ? passages(control) : 0;
  forEachKept(p.scale, &shared, [&](const Kept& kept, std::uint32_t tile, const DevicePiece& piece) {
    keepTile(kept, p.scale.tiles, piece, tile);
    measureKept<Norm>(p.measure, kept, tile, piece);
  });
  // All partials, before anybody folds them.
  lastBlock(control, &shared.arrivedBefore) ? letPass(control) : awaitPassage(control, passed);
  const std::uint32_t groups = groupItems(p.decide);
  decideItems<false>(p.decide, groups);
  if (lastBlock(control, &shared.arrivedBefore)) {
    decideLast<false>(p.decide, groups, shared);
    letPass(control);
  } else {
    awaitPassage(control, passed + 1);
  }
  // As in scaleKernel.
  if (blockIdx.x == gridDim.x - 1 && threadIdx.x == blockDim.x - 1) passOn(p.scale.result, p.scale.slot);
  const Decision decision = loadStruct(p.scale.decision);
  if (touchesNothing(decision)) return;
  forEachKept(p.scale, &shared, [&](const Kept& kept, std::uint32_t tile, const DevicePiece& piece) {
    scaleTile(scalingOf(p.scale, decision, piece), p.scale.tiles, tile, piece, kept, kept);
  });
}

namespace {

using Kernel = void (*)(OneLaunchParams);

Kernel kernelOf(NormKind norm) {
  switch (norm) {
    case NormKind::L1: return oneLaunchKernel<AbsoluteSum>;
    case NormKind::L2: return oneLaunchKernel<SquareSum>;
    case NormKind::Inf: return oneLaunchKernel<Maximum>;
    case NormKind::Power: break;
  }
  return nullptr;
}

constexpr std::uint32_t kWarps = kBlockThreads / kWarp;

constexpr std::size_t sharedBytesFor(std::uint32_t tilesOfWarp) {
  return sizeof(Shared) + tilesOfWarp * kWarps * kTileBytes;
}

/// Blocks of so much shared memory that the device holds at once, whichever the norm; 0 where it has not as much.
cudaError_t blocksTogether(int device, std::size_t sharedBytes, std::uint64_t* blocks) {
  int most = 0;
  cudaError_t error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  *blocks = 0;
  if (error != cudaSuccess || sharedBytes > static_cast<std::size_t>(most)) return error;
  for (NormKind norm : {NormKind::L1, NormKind::L2, NormKind::Inf}) {
    const Kernel kernel = kernelOf(norm);
    unsigned found = 0;
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
    if (error == cudaSuccess) error = residentBlocks(device, kernel, &found, sharedBytes);
    if (error != cudaSuccess) return error;
    *blocks = norm == NormKind::L1 || found < *blocks ? found : *blocks;
  }
  return cudaSuccess;
}

}  // namespace

cudaError_t findOneLaunch(int device, std::uint32_t tiles, OneLaunch* found) {
  int cooperates = 0;
  const cudaError_t known = cudaDeviceGetAttribute(&cooperates, cudaDevAttrCooperativeLaunch, device);
  *found = {};
  if (known != cudaSuccess || cooperates == 0 || tiles == 0) return known;
  // The fewer tiles a warp has, the more of them are on their way at once.
  for (std::uint32_t tilesOfWarp = 1;; ++tilesOfWarp) {
    const std::size_t sharedBytes = sharedBytesFor(tilesOfWarp);
    std::uint64_t blocks = 0;
    const cudaError_t error = blocksTogether(device, sharedBytes, &blocks);
    if (error != cudaSuccess || blocks == 0) return error;
    const std::uint64_t tilesOfBlock = std::uint64_t{tilesOfWarp} * kWarps;
    if (blocks * tilesOfBlock < tiles) continue;
    *found = {static_cast<unsigned>((tiles + tilesOfBlock - 1) / tilesOfBlock), sharedBytes};
    return cudaSuccess;
  }
}

cudaError_t enqueueOneLaunch(const OneLaunch& how, cudaStream_t stream, NormKind norm, const OneLaunchParams& params) {
  return launch(kernelOf(norm), how.blocks, kBlockThreads, how.sharedBytes, stream, params, How::Together);
}

}  // namespace gradclip
