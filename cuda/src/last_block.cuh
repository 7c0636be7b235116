// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "device_table.hpp"
#include "device_words.cuh"

namespace gradclip {

/// Bytes of shared memory that lastBlock uses.
constexpr std::size_t kLastBlockBytes = 16;

/// Whether this block is the last of the grid to arrive; it then sees what all others wrote before. The counter is 0 again
/// afterwards. Called by all threads of every block.
__device__ __forceinline__ bool lastBlock(Control* control) {
  unsigned* const arrivedBefore = sharedMemory<unsigned>();
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) *arrivedBefore = atomicAdd(&control->arrived, 1u);
  __syncthreads();
  const bool last = *arrivedBefore == gridDim.x - 1;
  if (last && threadIdx.x == 0) atomicExch(&control->arrived, 0u);
  __threadfence();
  return last;
}

/// Writes a result and then its ticket, which the host waits for. By one thread.
__device__ __forceinline__ void publish(Slot* slot, const Slot& result) {
  storeGlobal(&slot->totalNorm, result.totalNorm);
  storeGlobal(&slot->coefficient, result.coefficient);
  storeGlobal(&slot->changed, result.changed);
  storeGlobal(&slot->flags, result.flags);
  storeGlobal(&slot->badSegment, result.badSegment);
  storeGlobal(&slot->badNorm, result.badNorm);
  __threadfence_system();
  storeGlobal(&slot->ticket, result.ticket);
}

}  // namespace gradclip
