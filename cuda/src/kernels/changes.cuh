// SPDX-License-Identifier: Apache-2.0
// How many elements limits change, and the result that says so.
#pragma once

#include "kernels/last_block.cuh"
#include "kernels/launches.hpp"

namespace gradclip {

/// Limits as they were captured, or as they were set since.
__device__ __forceinline__ ClampLimits limitsNow(const Capture& capture, ClampLimits limits) {
  if (hasNewNumbers(capture)) {
    limits.min = loadGlobal<double>(&capture.numbers->min);
    limits.max = loadGlobal<double>(&capture.numbers->max);
    limits.inverseScale = loadGlobal<double>(&capture.numbers->limit.inverseScale);
  }
  return limits;
}

/// A segment's own limits, where a rule has parts.
__device__ __forceinline__ ClampLimits limitsOf(const PartTable& parts, std::uint32_t segment, ClampLimits limits) {
  if (parts.count != 0) {
    const Part* const part = parts.parts + loadGlobal<std::uint32_t>(parts.ofSegment + segment);
    limits.min = loadGlobal<double>(&part->min);
    limits.max = loadGlobal<double>(&part->max);
  }
  return limits;
}

/// What a thread has changed: 32 bits count what even one multiprocessor's threads can meet in a device's memory.
struct Changes {
  unsigned elements;
  unsigned zeroed;  ///< 1 if any
};

/// One atomic a warp.
__device__ __forceinline__ void countChanges(Control* control, const Changes& changes) {
  using Count = unsigned long long;
  const Count elements = acrossLanes(Count{changes.elements}, [](Count a, Count b) { return a + b; });
  const bool zeroed = __any_sync(kAllLanes, changes.zeroed != 0) != 0;
  if (laneIndex() != 0) return;
  if (elements != 0) atomicAdd(&control->changed, elements);
  if (zeroed) atomicOr(&control->zeroed, 1u);
}

/// The result of a rule that measures no norm. By one thread of the last block.
__device__ inline void publishChanges(Control* control, Slot* to, std::int64_t ticket) {
  Slot slot = {};
  slot.ticket = ticket;
  slot.globalNorm = slot.coefficient = slot.clippedNorm = notANumber();
  slot.changed = static_cast<std::int64_t>(atomicExch(&control->changed, 0ull));
  slot.flags = (slot.changed > 0 ? kClipped : 0u) | (atomicExch(&control->zeroed, 0u) != 0 ? kNonFinite : 0u);
  slot.badSegment = -1;
  publish(to, slot);
}

}  // namespace gradclip
