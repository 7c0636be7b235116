// SPDX-License-Identifier: Apache-2.0
#include "kernels/decide.cuh"

#include "kernels/grids.hpp"
#include "kernels/launch.hpp"

namespace gradclip {

/// Blocks of the wide kernel that a multiprocessor is to hold: where it holds two, the compiler spills three registers
/// of those for 10.0 and 12.0, and a hundred blocks fold what a wide rule has at once.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
constexpr int kWideBlocks = 1;
#else
constexpr int kWideBlocks = 2;
#endif

/// Wide: for rules with parts or weights too.
template <bool Wide>
__global__ void __launch_bounds__(kBlockThreads, Wide ? kWideBlocks : 2) decideKernel(const DecideParams p) {
  bringUpKernelBehind();
  awaitKernelBefore();
  Shared& shared = *sharedMemory<Shared>();
  const std::uint32_t groups = groupItems(p);
  decideItems<Wide>(p, groups);
  if (lastBlock(p.control, &shared.arrivedBefore)) decideLast<Wide>(p, groups, shared);
}

cudaError_t findDecideGrid(int device, Grids* grids) {
  cudaError_t error = residentBlocks(device, decideKernel<true>, &grids->decideWide);
  if (error == cudaSuccess) error = residentBlocks(device, decideKernel<false>, &grids->decide);
  return error == cudaSuccess ? canFollow(decideKernel<false>, &grids->follow) : error;
}

cudaError_t enqueueDecide(const Grids& grids, cudaStream_t stream, const DecideParams& params, bool behind) {
  const bool wide = params.weights != 0 || params.parts.count != 0;
  const std::uint64_t items =
      std::uint64_t{params.lastRun - params.firstRun} + groupItems(params) + finishItems(params);
  const unsigned blocks = blocksFor(items, wide ? grids.decideWide : grids.decide);
  return launch(wide ? decideKernel<true> : decideKernel<false>, blocks, kBlockThreads, sizeof(Shared), stream, params,
                behind ? How::Behind : How::Alone);
}

}  // namespace gradclip
