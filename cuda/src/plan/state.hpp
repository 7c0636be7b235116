// SPDX-License-Identifier: Apache-2.0
// What a plan is made of, for the files that implement it.
#pragma once

#include <algorithm>

#include "plan/profiler_range.hpp"
#include "plan/status.hpp"
#include "plan/device_memory.hpp"
#include "plan/updates.hpp"

namespace gradclip {

constexpr double kInfinity = __builtin_inf();

/// A rule that measures and clips nothing.
inline RuleNumbers measuring(NormOf norm) {
  RuleNumbers rule;
  rule.norm = norm.kind;
  rule.p = norm.p;
  rule.limit.max = kInfinity;
  return rule;
}

/// Where a result goes.
struct Target {
  Slot* slot;
  std::int64_t ticket;
  Capture capture;
};

/// What refusals say of a call, by what it is.
struct Refusals {
  const char *onCapturedStream, *nothingCaptured, *notUploaded, *tooMany;
};

constexpr Refusals kOfClips = {
    "a clip on a stream that is being captured (CapturedClip is for that)",
    "a captured clip on a stream that captures nothing",
    "a captured clip after a rebind, or the first by a rule for groups (run a clip by the rule before the capture "
    "begins)",
    "a captured clip beyond the 16 that one clipper has at once"};

constexpr Refusals kOfSteps = {
    "a step on a stream that is being captured (CapturedStep is for that)",
    "a captured step on a stream that captures nothing",
    "a captured step after a rebind, or the first by a rule for groups (run a step by the rule before the capture "
    "begins)",
    "a captured step beyond the 16 clips and steps that one clipper has at once"};

/// Segments that a decision looks at, with the weights of gradients or without.
struct Span {
  std::uint32_t from, to;
  bool withWeights = false;
};

struct CudaPlan::State {
  int device = 0;
  void* context = nullptr;  ///< that the plan was made in, and works in
  Grids grids{};
  OneLaunch oneLaunch;  ///< no blocks where clips take three
  bool follows = false;  ///< decide and scale are brought up while a kernel of the same call runs before them
  Tables tables;
  BoundPieces pieces;
  PlanMemory memory;
  UpdateMemory updates;
  HistoryMemory histories;
  unsigned types = 0;     ///< kHasFloat, kHasDouble over all gradients
  double elements = 0.0;  ///< of all gradients
  HostArray<Part> parts;  ///< of the rule given last that has some
  unsigned partCount = 0;

  cudaStream_t stream = nullptr;  ///< of the last call
  bool used = false;              ///< there has been a call
  bool behindOwn = false;         ///< what was enqueued last is a kernel of the same call
  cudaEvent_t worked = nullptr;   ///< the last call's work is done
  cudaEvent_t staged[kStages] = {};  ///< the stage's upload is done
  bool isStaged[kStages] = {};
  unsigned nextStage = 0;
  bool dirty = false;  ///< pieces differ from what was uploaded
  std::int64_t lastTicket = 0;
  std::int64_t captures[kCaptures] = {};  ///< ids of clips and steps that are open, else 0
  std::int64_t lastCapture = 0;
  CudaStatus fault;

  CudaStatus create(const Piece* table, std::int32_t pieceCount, const Counts& counts);
  CudaStatus setParts(const RuleNumbers& rule);
  CudaStatus stagePieces(unsigned stage, cudaStream_t on);
  CudaStatus begin(std::int64_t handle, const Refusals& refusals);
  CudaStatus noteWork(cudaStream_t streamBefore, bool usedBefore);
  CudaStatus uploadPieces();
  CudaStatus measure(NormOf norm, std::uint32_t from, std::uint32_t to, bool zero);
  MeasureParams measureParams(NormKind kind, double p, std::uint32_t from, std::uint32_t to, bool zero) const;
  CudaStatus measureTiles(NormKind kind, double p, std::uint32_t from, std::uint32_t to, bool zero);
  DecideParams decideParams(Purpose purpose, const RuleNumbers& rule, const Span& span, const Target& target,
                            const GivenNorm& given = {}) const;
  CudaStatus decide(const DecideParams& params);
  ScaleParams scaleParams(Slot* slot) const;
  CudaStatus clipLagged(const RuleNumbers& rule, const Target& target);
  CudaStatus clipAtOnce(Purpose purpose, const RuleNumbers& rule, const Target& target);
  CudaStatus decideAndScale(DecideParams params, bool scales);
  CudaStatus clipByNorm(const RuleNumbers& rule, Steps steps, const Target& target);
  CudaStatus clipWithNorm(const RuleNumbers& rule, const GivenNorm& norm, const Target& target);
  CudaStatus clipByValue(const RuleNumbers& rule, const Target& target);
  CudaStatus update(const RuleNumbers& rule, const UpdateNumbers& numbers, const Target& target, bool clamps,
                    bool readsDecision);
  CudaStatus stepByNorm(const RuleNumbers& rule, const UpdateNumbers& numbers, const Target& target);
  CudaStatus stepByValue(const RuleNumbers& rule, const UpdateNumbers& numbers, const Target& target);
  CudaStatus lookFirst(const RuleNumbers& rule, const Target& target);
  bool hasCaptures() const;
  void noteTypes();

  /// Whether the call's next kernel is brought up while the one before it still runs. A graph may be made by a driver
  /// that knows no other order than whole kernels, so that what is captured is not.
  bool bringsUpEarly(const Capture& capture) const { return follows && behindOwn && capture.numbers == nullptr; }

  Capture captureOf(std::int32_t number) const { return {memory.captures + number, captures[number]}; }

  Span gradients() const { return {0, tables.gradients}; }

  /// The slot of a ticket of the ring, or of norms on demand.
  Target targetOf(std::int64_t ticket) const { return {memory.deviceSlot(ticket), ticket, {}}; }
  Target nextTarget(std::int64_t* ticket) { return targetOf(*ticket = ++lastTicket); }

  /// Remembers a fault, after which no call does anything.
  CudaStatus ended(const CudaStatus& status) {
    if (status.fatal() && fault.ok()) fault = status;
    return status;
  }
};

/// A call on a plan, in its context, unless a fault came before. Work returns a status.
template <class State, class Work>
CudaStatus inContext(State& state, const Work& work) {
  if (!state.fault.ok()) return state.fault;
  const DeviceGuard guard(state.device, state.context);
  return guard.status().ok() ? state.ended(work()) : guard.status();
}

/// A call that gives its stream work.
template <class State, class Work>
CudaStatus onStream(State& state, std::int64_t handle, const Work& work, const Refusals& refusals = kOfClips) {
  return inContext(state, [&] {
    const cudaStream_t streamBefore = state.stream;
    const bool usedBefore = state.used;
    CudaStatus status = state.begin(handle, refusals);
    if (status.ok()) status = work();
    const CudaStatus noted = state.noteWork(streamBefore, usedBefore);
    return status.ok() ? noted : status;
  });
}

inline bool isAdaptive(const RuleNumbers& rule) {
  const auto adaptive = [](const Part& part) { return part.limit.form == Form::Adaptive; };
  return rule.limit.form == Form::Adaptive || std::any_of(rule.parts(), rule.parts() + rule.partCount, adaptive);
}

/// Whether a value rule's policy needs to know of non-finite elements before one is written.
inline bool looksFirst(const RuleNumbers& rule) { return rule.policy == Policy::Error || rule.policy == Policy::Skip; }

constexpr Purpose purposeOf(Granularity granularity) {
  return granularity == Granularity::All       ? Purpose::Global
         : granularity == Granularity::Segment ? Purpose::PerSegment
                                               : Purpose::Parts;
}

/// A clip or a step by a rule, given a stream and a ticket. Work is a function of a target.
template <class State, class Work>
CudaStatus clipped(State& state, std::int64_t stream, const RuleNumbers& rule, std::int64_t* ticket, const Work& work,
                   const Refusals& refusals = kOfClips) {
  const ClipRange range;
  if (auto s = state.setParts(rule); !s.ok()) return s;
  return onStream(
      state, stream, [&] { return work(state.nextTarget(ticket)); }, refusals);
}

}  // namespace gradclip
