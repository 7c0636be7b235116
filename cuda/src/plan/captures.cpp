// SPDX-License-Identifier: Apache-2.0
// Clips and steps that become part of a graph.
#include "plan/state.hpp"

namespace gradclip {
namespace {

CudaStatus refusedCapture(const char* why) { return called(cudaErrorStreamCaptureUnsupported, why); }

/// What has to hold before work is captured, for a stream that must be.
CudaStatus capturable(cudaStream_t stream, bool dirty, const Refusals& refusals) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  if (auto s = called(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing"); !s.ok()) return s;
  if (status != cudaStreamCaptureStatusActive) return refusedCapture(refusals.nothingCaptured);
  // The upload would be captured with what the pinned memory holds when the graph runs.
  return dirty ? refusedCapture(refusals.notUploaded) : CudaStatus{};
}

/// Captures a clip or a step by a rule on a stream, and leaves the plan's own stream as it was. Work is a function of a
/// target.
template <class State, class Work>
CudaStatus captured(State& state, std::int64_t handle, const RuleNumbers& rule, std::int32_t* capture, const Work& work,
                    const Refusals& refusals = kOfClips) {
  if (auto s = state.setParts(rule); !s.ok()) return s;
  return inContext(state, [&] {
    if (auto s = capturable(streamOf(handle), state.dirty, refusals); !s.ok()) return s;
    unsigned number = 0;
    while (number < kCaptures && state.captures[number] != 0) ++number;
    if (number == kCaptures) return refusedCapture(refusals.tooMany);
    Slot* const slot = state.memory.deviceSlot(PlanMemory::captureTicket(number));
    const Capture id{state.memory.captures + number, ++state.lastCapture};
    const cudaStream_t usual = state.stream;
    state.stream = streamOf(handle);
    const CudaStatus status = work(Target{slot, 0, id});
    state.stream = usual;
    if (!status.ok()) return status;
    state.captures[number] = id.id;
    *capture = static_cast<std::int32_t>(number);
    return CudaStatus{};
  });
}

}  // namespace

CudaStatus CudaPlan::captureByNorm(std::int64_t stream, const RuleNumbers& rule, std::int32_t* capture) {
  return captured(*state_, stream, rule, capture,
                  [&](const Target& target) { return state_->clipByNorm(rule, {}, target); });
}

CudaStatus CudaPlan::captureWithNorm(std::int64_t stream, const RuleNumbers& rule, const GivenNorm& norm,
                                     std::int32_t* capture) {
  return captured(*state_, stream, rule, capture,
                  [&](const Target& target) { return state_->clipWithNorm(rule, norm, target); });
}

CudaStatus CudaPlan::captureByValue(std::int64_t stream, const RuleNumbers& rule, std::int32_t* capture) {
  return captured(*state_, stream, rule, capture,
                  [&](const Target& target) { return state_->clipByValue(rule, target); });
}

CudaStatus CudaPlan::captureStepByNorm(std::int64_t stream, const RuleNumbers& rule, const UpdateNumbers& numbers,
                                       std::int32_t* capture) {
  return captured(
      *state_, stream, rule, capture, [&](const Target& target) { return state_->stepByNorm(rule, numbers, target); },
      kOfSteps);
}

CudaStatus CudaPlan::captureStepByValue(std::int64_t stream, const RuleNumbers& rule, const UpdateNumbers& numbers,
                                        std::int32_t* capture) {
  return captured(
      *state_, stream, rule, capture, [&](const Target& target) { return state_->stepByValue(rule, numbers, target); },
      kOfSteps);
}

CudaStatus CudaPlan::setNumbers(std::int64_t stream, std::int32_t capture, const RuleNumbers& rule) {
  State& s = *state_;
  return inContext(s, [&] {
    return called(enqueueSetNumbers(streamOf(stream), {s.captureOf(capture), rule}), "cudaLaunchKernel");
  });
}

CudaStatus CudaPlan::setUpdate(std::int64_t stream, std::int32_t capture, const UpdateNumbers& numbers) {
  State& s = *state_;
  if (!s.updates.fits(numbers)) return called(cudaErrorInvalidValue, "an update of another form than its state");
  return inContext(s, [&] {
    return called(enqueueSetUpdate(streamOf(stream), {s.captureOf(capture), numbers}), "cudaLaunchKernel");
  });
}

void CudaPlan::closeCapture(std::int32_t capture) { state_->captures[capture] = 0; }

const void* CudaPlan::captureSlot(std::int32_t capture) const {
  return state_->memory.hostSlot(PlanMemory::captureTicket(static_cast<unsigned>(capture)));
}

}  // namespace gradclip
