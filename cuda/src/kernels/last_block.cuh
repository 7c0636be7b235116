// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/device_structs.hpp"
#include "kernels/device_words.cuh"

namespace gradclip {

/// Whether this block is the last of the grid to arrive; it then sees what all others wrote before. The counter is 0
/// again afterwards. Called by all threads of every block; `arrivedBefore` is the block's.
///
/// The barrier orders a block's writes before its thread 0's fence, and the fence orders them before the block's
/// arrival; the last block's fence comes after all arrivals, and its barrier before whatever its threads read. One
/// thread's fences do for a block, where one a thread would be 512.
__device__ __forceinline__ bool lastBlock(Control* control, unsigned* arrivedBefore) {
  __syncthreads();
  if (gridDim.x == 1) return true;  // as most decisions are: they save two fences and an atomic
  if (threadIdx.x == 0) {
    __threadfence();
    *arrivedBefore = atomicAdd(&control->arrived, 1u);
    __threadfence();
  }
  __syncthreads();
  const bool last = *arrivedBefore == gridDim.x - 1;
  if (last && threadIdx.x == 0) atomicExch(&control->arrived, 0u);
  return last;
}

// Blocks that run together: the last one to arrive lets the others go on when it likes.

/// By thread 0, before its block arrives.
__device__ __forceinline__ unsigned passages(const Control* control) { return pollGlobal(&control->passages); }

/// By all threads of the last block. The others then see what all blocks wrote before.
__device__ __forceinline__ void letPass(Control* control) {
  __syncthreads();
  if (threadIdx.x != 0) return;
  __threadfence();
  atomicAdd(&control->passages, 1u);
}

/// By all threads of another block; `before`: thread 0's passages.
__device__ __forceinline__ void awaitPassage(const Control* control, unsigned before) {
  if (threadIdx.x == 0) {
    while (passages(control) == before) {
    }
    __threadfence();
  }
  __syncthreads();
}

/// The ticket of a result: given, or that of a captured clip's next replay. By one thread, once a result.
__device__ __forceinline__ std::int64_t ticketOf(std::int64_t given, const Capture& capture) {
  if (capture.numbers == nullptr) return given;
  const std::int64_t ticket = loadGlobal<std::int64_t>(&capture.numbers->replays) + 1;
  storeGlobal(&capture.numbers->replays, ticket);
  return ticket;
}

/// Whether the numbers of a clip are not those that its kernel was launched with.
__device__ __forceinline__ bool hasNewNumbers(const Capture& capture) {
  return capture.numbers != nullptr && loadGlobal<std::int64_t>(&capture.numbers->owner) == capture.id;
}

__device__ __forceinline__ NormLimit loadLimit(const NormLimit* from, Form form, AtNonFinite atNonFinite) {
  return {form,
          atNonFinite,
          loadGlobal<double>(&from->max),
          loadGlobal<double>(&from->length),
          loadGlobal<double>(&from->epsilon),
          loadGlobal<double>(&from->inverseScale)};
}

/// A limit as it was captured, or as it was set since.
__device__ __forceinline__ NormLimit limitNow(const Capture& capture, const NormLimit& limit) {
  return hasNewNumbers(capture) ? loadLimit(&capture.numbers->limit, limit.form, limit.atNonFinite) : limit;
}

/// Writes a result and then its ticket, which the host waits for. By one thread.
__device__ __forceinline__ void publish(Slot* slot, const Slot& result) {
  storeGlobal(&slot->begun, result.ticket);
  __threadfence_system();
  storeGlobal(&slot->globalNorm, result.globalNorm);
  storeGlobal(&slot->coefficient, result.coefficient);
  storeGlobal(&slot->changed, result.changed);
  storeGlobal(&slot->flags, result.flags);
  storeGlobal(&slot->badSegment, result.badSegment);
  storeGlobal(&slot->badNorm, result.badNorm);
  storeGlobal(&slot->clippedNorm, result.clippedNorm);
  __threadfence_system();
  storeGlobal(&slot->ticket, result.ticket);
}

/// Passes on a result of a norm rule, which counts no changes, that lies in device memory.
__device__ inline void passOn(const Slot* result, Slot* slot) {
  Slot found = {};
  found.ticket = loadGlobal<std::int64_t>(&result->ticket);
  found.globalNorm = loadGlobal<double>(&result->globalNorm);
  found.coefficient = loadGlobal<double>(&result->coefficient);
  found.flags = loadGlobal<std::uint32_t>(&result->flags);
  found.badSegment = loadGlobal<std::int32_t>(&result->badSegment);
  found.badNorm = loadGlobal<double>(&result->badNorm);
  found.clippedNorm = loadGlobal<double>(&result->clippedNorm);
  publish(slot, found);
}

}  // namespace gradclip
