// SPDX-License-Identifier: Apache-2.0
// What each call enqueues.
#include <sched.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "plan/state.hpp"
#include "plan/profiler_range.hpp"

namespace gradclip {

// ---- life ----------------------------------------------------------------------------------------------------------

CudaStatus CudaPlan::create(int device, const Piece* table, std::int32_t rows, const Counts& counts, CudaPlan** plan) {
  const DeviceGuard guard(device);
  if (!guard.status().ok()) return guard.status();
  void* const memory = std::malloc(sizeof(CudaPlan));
  void* const stateMemory = std::malloc(sizeof(State));
  if (memory == nullptr || stateMemory == nullptr) {
    std::free(memory);
    std::free(stateMemory);
    return outOfMemory();
  }
  State* const state = new (stateMemory) State;
  *plan = new (memory) CudaPlan(state);
  state->device = device;
  const CudaStatus status = state->create(table, rows, counts);
  if (!status.ok()) (void)destroy(*plan);
  return status;
}

CudaStatus CudaPlan::State::create(const Piece* table, std::int32_t rowCount, const Counts& counts) {
  if (auto s = tables.build(table, rowCount, counts); !s.ok()) return s;
  if (!parts.allocate(tables.mostParts)) return outOfMemory();
  if (auto s = called(findGrids(device, &grids), "cudaOccupancyMaxActiveBlocksPerMultiprocessor"); !s.ok()) return s;
  if (auto s = rows.bind(device, table, rowCount); !s.ok()) return s;
  noteTypes();
  if (auto s = memory.create(tables, rowCount); !s.ok()) return s;
  const auto createEvent = [](cudaEvent_t* event) {
    return called(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  };
  if (auto s = createEvent(&switched); !s.ok()) return s;
  for (cudaEvent_t& event : staged) {
    if (auto s = createEvent(&event); !s.ok()) return s;
  }
  if (auto s = stageRows(0, nullptr); !s.ok()) return s;
  return called(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
}

/// The streams of earlier calls may be gone by now, so the device is waited for.
CudaStatus CudaPlan::destroy(CudaPlan* plan) {
  State* const state = plan->state_;
  const DeviceGuard guard(state->device);
  CudaStatus status = state->fault.ok() && (state->used || state->lastCapture > 0) ? called(cudaDeviceSynchronize(), "cudaDeviceSynchronize")
                                                       : CudaStatus{};
  if (state->switched != nullptr) cudaEventDestroy(state->switched);
  for (cudaEvent_t event : state->staged) {
    if (event != nullptr) cudaEventDestroy(event);
  }
  state->~State();
  std::free(state);
  plan->~CudaPlan();
  std::free(plan);
  return status;
}

CudaStatus CudaPlan::rebind(const Piece* table) {
  if (!state_->fault.ok()) return state_->fault;
  const DeviceGuard guard(state_->device);
  if (!guard.status().ok()) return guard.status();
  bool changed = false;
  const CudaStatus status = state_->rows.rebind(table, &changed);
  if (!status.ok()) return status;
  state_->dirty = state_->dirty || changed;
  state_->noteTypes();
  return {};
}

void CudaPlan::State::noteTypes() {
  types = 0;
  elements = 0.0;
  for (std::int32_t row = 0; row < rows.size(); ++row) {
    if (static_cast<std::uint32_t>(rows[row].segment) >= tables.gradients) break;
    if (rows[row].count > 0) types |= rows[row].dtype == DType::Float64 ? kHasDouble : kHasFloat;
    elements += static_cast<double>(rows[row].count);
  }
}

CudaStatus CudaPlan::State::stageRows(unsigned stage, cudaStream_t on) {
  memory.writeStage(stage, rows, tables, parts, partCount);
  return memory.upload(stage, partCount, on);
}

bool CudaPlan::State::hasCaptures() const {
  return std::any_of(captures, captures + kCaptures, [](std::int64_t id) { return id != 0; });
}

/// Makes these the parts on the device; those that are there already cost nothing.
CudaStatus CudaPlan::State::setParts(const Part* next, std::int32_t count) {
  const auto wanted = static_cast<unsigned>(count);
  if (wanted == 0 || !fault.ok()) return fault;
  if (wanted == partCount && std::memcmp(next, parts.data(), wanted * sizeof(Part)) == 0) return {};
  const char* const why = "another rule for groups while a captured clip of groups is open (close it first)";
  if (partCount > 0 && hasCaptures()) return called(cudaErrorStreamCaptureUnsupported, why);
  if (wanted > tables.mostParts) return called(cudaErrorInvalidValue, "a rule of more parts than the plan has room for");
  std::copy(next, next + wanted, parts.begin());
  partCount = wanted;
  dirty = true;
  return {};
}

// ---- before work ---------------------------------------------------------------------------------------------------

namespace {

/// A ticket would be the same at every replay, so what is captured has calls of its own.
CudaStatus notCapturing(cudaStream_t stream) {
  const char* const call = "a clip on a stream that is being captured (CapturedClip is for that)";
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  if (auto s = called(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing"); !s.ok()) return s;
  return called(status == cudaStreamCaptureStatusNone ? cudaSuccess : cudaErrorStreamCaptureUnsupported, call);
}

}  // namespace

/// Makes `handle` the plan's stream and brings the device's rows up to date.
CudaStatus CudaPlan::State::begin(std::int64_t handle) {
  const cudaStream_t next = streamOf(handle);
  if (auto s = notCapturing(next); !s.ok()) return s;
  if (used && next != stream) {
    if (auto s = switchTo(next); !s.ok()) return s;
  }
  stream = next;
  used = true;
  return dirty ? uploadRows() : CudaStatus{};
}

CudaStatus CudaPlan::State::switchTo(cudaStream_t next) {
  if (auto s = called(cudaEventRecord(switched, stream), "cudaEventRecord"); !s.ok()) return s;
  return called(cudaStreamWaitEvent(next, switched, 0), "cudaStreamWaitEvent");
}

/// Waits only where the host is kStages uploads ahead of the device.
CudaStatus CudaPlan::State::uploadRows() {
  const unsigned stage = nextStage % kStages;
  if (isStaged[stage] && cudaEventQuery(staged[stage]) != cudaSuccess) {
    cudaGetLastError();
    if (auto s = called(cudaEventSynchronize(staged[stage]), "cudaEventSynchronize"); !s.ok()) return s;
  }
  if (auto s = stageRows(stage, stream); !s.ok()) return s;
  if (auto s = called(cudaEventRecord(staged[stage], stream), "cudaEventRecord"); !s.ok()) return s;
  isStaged[stage] = true;
  ++nextStage;
  dirty = false;
  return {};
}

// ---- launches ------------------------------------------------------------------------------------------------------

CudaStatus CudaPlan::State::measureTiles(NormKind kind, double p, std::uint32_t from, std::uint32_t to, bool zero) {
  MeasureParams params{};
  params.tiles = memory.tiles;
  params.firstTile = tables.segmentTile[from];
  params.lastTile = tables.segmentTile[to];
  if (params.firstTile == params.lastTile) return {};
  params.partials = memory.fold.partials;
  params.sums = memory.fold.sums;
  params.control = memory.control;
  params.maxima = kind == NormKind::Power ? memory.fold.maxima : nullptr;
  params.p = p;
  params.zeroNonFinite = zero;
  return called(enqueueMeasure(grids, stream, kind, params), "cudaLaunchKernel");
}

CudaStatus CudaPlan::State::measure(NormOf norm, std::uint32_t from, std::uint32_t to, bool zero) {
  if (norm.kind != NormKind::Power) return measureTiles(norm.kind, norm.p, from, to, zero);
  if (auto s = measureTiles(NormKind::Inf, 0.0, from, to, zero); !s.ok()) return s;
  if (auto s = decide(ruleOf(Verdict::Maxima, norm), from, to, {}); !s.ok()) return s;
  return measureTiles(NormKind::Power, norm.p, from, to, zero);
}

CudaStatus CudaPlan::State::decide(const Rule& rule, std::uint32_t from, std::uint32_t to, const Target& target,
                                   bool withParameters) {
  DecideParams params{};
  params.fold = memory.fold;
  params.firstSegment = from;
  params.lastSegment = to;
  params.firstRun = tables.segmentRun[from];
  params.lastRun = tables.segmentRun[to];
  params.firstDeep = tables.segmentDeep[from];
  params.lastDeep = tables.segmentDeep[to];
  if (withParameters) {
    params.parameters = tables.gradients;
    params.lastRun = tables.segmentRun[tables.segments];
    params.lastDeep = tables.segmentDeep[tables.segments];
  }
  params.types = types;
  params.elements = elements;
  params.rule = rule;
  params.parts = {memory.parts, memory.partOfSegment, rule.verdict == Verdict::Parts ? partCount : 0};
  params.control = memory.control;
  params.decision = memory.decision;
  params.finding = memory.finding;
  params.slot = target.slot;
  params.ticket = target.ticket;
  params.capture = target.capture;
  return called(enqueueDecide(grids, stream, params), "cudaLaunchKernel");
}

CudaStatus CudaPlan::State::scale() {
  const std::uint32_t tiles = tables.gradientTiles();
  if (tiles == 0) return {};
  const ScaleParams params{memory.tiles, tiles, memory.decision, memory.fold.coefficients};
  return called(enqueueScale(grids, stream, params), "cudaLaunchKernel");
}

// ---- calls ---------------------------------------------------------------------------------------------------------

CudaStatus CudaPlan::measure(std::int64_t stream, NormOf norm, std::int32_t fromSegment, std::int32_t toSegment) {
  State& s = *state_;
  return onStream(s, stream, [&] {
    return s.measure(norm, static_cast<std::uint32_t>(fromSegment), static_cast<std::uint32_t>(toSegment), false);
  });
}

CudaStatus CudaPlan::globalNorm(std::int64_t stream, NormOf norm, std::int64_t* ticket) {
  State& s = *state_;
  return onStream(s, stream, [&] {
    const Target target = s.nextTarget(ticket);
    const CudaStatus status = s.measure(norm, 0, s.tables.gradients, false);
    return status.ok() ? s.decideAll(ruleOf(Verdict::Norm, norm), false, target) : status;
  });
}

namespace {

bool isAdaptive(const CudaPlan::NormClip& clip) {
  const auto adaptive = [](const Part& part) { return part.limit.form == Form::Adaptive; };
  return clip.limit.form == Form::Adaptive || std::any_of(clip.parts, clip.parts + clip.partCount, adaptive);
}

/// Whether it leaves every gradient as it is, unless by policy.
bool onlyMeasures(const CudaPlan::NormClip& clip) {
  return clip.scope != Scope::Parts && clip.limit.max == kInfinity && clip.limit.inverseScale == 1.0;
}

constexpr Verdict verdictOf(Scope scope) {
  return scope == Scope::All ? Verdict::Global : scope == Scope::Segment ? Verdict::PerSegment : Verdict::Parts;
}

}  // namespace

CudaStatus CudaPlan::State::clipByNorm(const NormClip& clip, const Target& target) {
  const bool zero = clip.policy == Policy::Zero;
  const std::uint32_t gradients = tables.gradients;
  // What was measured before counted non-finite elements, so ZERO measures again.
  const std::uint32_t from = clip.measured && !zero ? gradients : 0;
  const std::uint32_t to = isAdaptive(clip) ? tables.segments : gradients;
  if (from < to) {
    if (auto status = measure(clip.norm, from, to, zero); !status.ok()) return status;
  }
  Rule rule = ruleOf(verdictOf(clip.scope), clip.norm);
  rule.policy = clip.policy;
  rule.limit = clip.limit;
  const CudaStatus status = decideAll(rule, isAdaptive(clip), target);
  const bool scales = clip.applies && (zero || target.capture.parameters != nullptr || !onlyMeasures(clip));
  return status.ok() && scales ? scale() : status;
}

CudaStatus CudaPlan::clipByNorm(std::int64_t stream, const NormClip& clip, std::int64_t* ticket) {
  const ClipRange range;
  State& s = *state_;
  if (auto status = s.setParts(clip.parts, clip.partCount); !status.ok()) return status;
  return onStream(s, stream, [&] { return s.clipByNorm(clip, s.nextTarget(ticket)); });
}

CudaStatus CudaPlan::clipWithNorm(std::int64_t stream, const GivenClip& clip, std::int64_t* ticket) {
  const ClipRange range;
  State& s = *state_;
  return onStream(s, stream, [&] {
    Rule rule = ruleOf(Verdict::Given, {NormKind::L2, 0.0});
    rule.policy = clip.policy;
    rule.limit = clip.limit;
    rule.given = clip.norm;
    const CudaStatus status = s.decide(rule, 0, 0, s.nextTarget(ticket));
    const bool changes = clip.limit.max != kInfinity || clip.limit.inverseScale != 1.0;
    return status.ok() && changes ? s.scale() : status;
  });
}

CudaStatus CudaPlan::State::clipByValue(const ValueClip& clip, const Target& target) {
  const bool looksFirst = clip.policy == Policy::Error || clip.policy == Policy::Skip;
  const NormOf inf{NormKind::Inf, 0.0};
  if (looksFirst) {
    if (auto status = measure(inf, 0, tables.gradients, false); !status.ok()) return status;
    Rule rule = ruleOf(Verdict::Value, inf);
    rule.policy = clip.policy;
    if (auto status = decideAll(rule, false, target); !status.ok()) return status;
  }
  ClampParams params{};
  params.tiles = memory.tiles;
  params.tileCount = tables.gradientTiles();
  params.decision = looksFirst ? memory.decision : nullptr;
  params.limits = {clip.min, clip.max, clip.inverseScale, clip.policy == Policy::Zero};
  params.parts = {memory.parts, memory.partOfSegment, static_cast<std::uint32_t>(clip.partCount)};
  params.control = memory.control;
  params.slot = target.slot;
  params.ticket = target.ticket;
  params.capture = target.capture;
  return called(enqueueClamp(grids, stream, params), "cudaLaunchKernel");
}

CudaStatus CudaPlan::clipByValue(std::int64_t stream, const ValueClip& clip, std::int64_t* ticket) {
  const ClipRange range;
  State& s = *state_;
  if (auto status = s.setParts(clip.parts, clip.partCount); !status.ok()) return status;
  return onStream(s, stream, [&] { return s.clipByValue(clip, s.nextTarget(ticket)); });
}

// ---- results -------------------------------------------------------------------------------------------------------

/// Polls, and asks the stream now and then, for a fault would let no result come.
CudaStatus CudaPlan::await(std::int64_t ticket, bool* overwritten) {
  State& s = *state_;
  const std::int64_t* const written = &s.memory.hostSlot(ticket)->ticket;
  *overwritten = false;
  const DeviceGuard guard(s.device);
  for (unsigned round = 0;; ++round) {
    const std::int64_t now = __atomic_load_n(written, __ATOMIC_ACQUIRE);
    *overwritten = now > ticket;
    if (now >= ticket) return {};
    if (!s.fault.ok()) return s.fault;
    if (round % 64 != 0) continue;
    const cudaError_t error = cudaStreamQuery(s.stream);
    if (error == cudaErrorNotReady) {
      cudaGetLastError();
      sched_yield();
    } else if (error != cudaSuccess) {
      return s.ended(called(error, "cudaStreamQuery"));
    } else if (__atomic_load_n(written, __ATOMIC_ACQUIRE) < ticket) {
      return called(cudaErrorUnknown, "await: the stream is done, but no result has come");
    }
  }
}

CudaStatus CudaPlan::synchronize() {
  State& s = *state_;
  if (!s.fault.ok()) return s.fault;
  if (!s.used) return {};
  const DeviceGuard guard(s.device);
  return s.ended(called(cudaStreamSynchronize(s.stream), "cudaStreamSynchronize"));
}

CudaStatus CudaPlan::norm(NormOf norm, double inverseScale, std::int32_t fromSegment, std::int32_t toSegment,
                          double* value) {
  State& s = *state_;
  Rule rule = ruleOf(Verdict::Norm, norm);
  rule.limit.inverseScale = inverseScale;
  const auto from = static_cast<std::uint32_t>(fromSegment), to = static_cast<std::uint32_t>(toSegment);
  return onStream(s, addressOf(s.stream), [&] {
    if (auto status = s.decide(rule, from, to, s.targetOf(PlanMemory::kNormTicket)); !status.ok()) return status;
    const CudaStatus status = called(cudaStreamSynchronize(s.stream), "cudaStreamSynchronize");
    *value = s.memory.hostSlot(PlanMemory::kNormTicket)->totalNorm;
    return status;
  });
}

CudaStatus CudaPlan::partials(double* to) {
  State& s = *state_;
  return onStream(s, addressOf(s.stream), [&] {
    const std::uint32_t tiles = s.tables.segmentTile[s.tables.segments];
    const Planes& from = tiles == 1 ? s.memory.fold.sums : s.memory.fold.partials;
    for (unsigned plane = 0; plane < s.memory.fold.planes; ++plane) {
      const cudaError_t error = cudaMemcpyAsync(to + plane * tiles, from.values + plane * from.stride,
                                                tiles * sizeof(double), cudaMemcpyDeviceToHost, s.stream);
      if (error != cudaSuccess) return called(error, "cudaMemcpyAsync");
    }
    return called(cudaStreamSynchronize(s.stream), "cudaStreamSynchronize");
  });
}

CudaStatus CudaPlan::coefficient(std::int32_t segment, double* value) {
  State& s = *state_;
  return onStream(s, addressOf(s.stream), [&] {
    const auto read = [&](void* to, const void* from, std::size_t bytes) {
      const cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, s.stream);
      if (error != cudaSuccess) return called(error, "cudaMemcpyAsync");
      return called(cudaStreamSynchronize(s.stream), "cudaStreamSynchronize");
    };
    Decision decision{};
    if (auto status = read(&decision, s.memory.decision, sizeof decision); !status.ok()) return status;
    *value = decision.coefficient;
    if (decision.mode != Mode::PerSegment && decision.mode != Mode::Ones) return CudaStatus{};
    return read(value, s.memory.fold.coefficients + segment, sizeof *value);
  });
}

const void* CudaPlan::ring() const { return state_->memory.hostSlot(0); }

std::int64_t CudaPlan::coefficientAddress() const { return addressOf(&state_->memory.decision->coefficient); }

std::int64_t CudaPlan::nonFiniteAddress() const { return addressOf(&state_->memory.finding->nonFinite); }

}  // namespace gradclip
