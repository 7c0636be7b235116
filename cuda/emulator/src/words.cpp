// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include "block.hpp"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

using gradclip::emulator::Block;
using gradclip::emulator::Together;

GRADCLIP_UNTRACKED void __syncthreads() { Block::instance().barrier(); }

GRADCLIP_UNTRACKED void __syncwarp(unsigned mask) { Block::instance().meet(Together::Sync, mask, 0, 0); }

GRADCLIP_UNTRACKED void __threadfence() {
  Block::instance().fence(false);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void __threadfence_system() {
  Block::instance().fence(true);
#if !defined(__SANITIZE_THREAD__)
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

GRADCLIP_UNTRACKED void gradclip::emulator::awaitKernelBefore() { Block::instance().awaitKernelBefore(); }

namespace gradclip::emulator::detail {

GRADCLIP_UNTRACKED unsigned ballot(unsigned mask, bool predicate) {
  return static_cast<unsigned>(Block::instance().meet(Together::Ballot, mask, predicate ? 1 : 0, 0));
}

GRADCLIP_UNTRACKED std::uint64_t shuffle(Shuffle kind, unsigned mask, std::uint64_t bits, unsigned bytes, unsigned by,
                                         int width) {
  Block& block = Block::instance();
  const auto group = static_cast<unsigned>(width);
  if (group == 0 || group > 32 || (group & (group - 1)) != 0) {
    block.fault(cudaErrorLaunchFailure, "a shuffle's width is none of 1, 2, 4, 8, 16, 32");
  }
  const unsigned own = block.lane();
  const unsigned first = own & ~(group - 1);
  unsigned source = own;
  switch (kind) {
    case Shuffle::Index: source = first + (by & (group - 1)); break;
    case Shuffle::Up: source = own - first >= by ? own - by : own; break;
    case Shuffle::Down: source = by < group - (own - first) ? own + by : own; break;
    case Shuffle::Xor:
      // CUDA: a lane of an earlier group can be read, one of a later group gives the own value.
      source = own ^ by;
      if (source >= first + group) source = own;
      break;
  }
  return block.meet(bytes == 4 ? Together::Shuffle4 : Together::Shuffle8, mask, bits, source);
}

}  // namespace gradclip::emulator::detail
