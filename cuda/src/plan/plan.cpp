// SPDX-License-Identifier: Apache-2.0
// What each call enqueues.
#include <sched.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "plan/state.hpp"

namespace gradclip {

// ---- life ----------------------------------------------------------------------------------------------------------

CudaStatus CudaPlan::create(int device, const Piece* table, std::int32_t pieceCount, const Counts& counts,
                            CudaPlan** plan) {
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
  state->context = guard.context();
  const CudaStatus status = state->create(table, pieceCount, counts);
  if (!status.ok()) (void)destroy(*plan);
  return status;
}

namespace {

/// Whether a way of launching is asked for, or turned off.
bool isSetTo(const char* variable, const char* wanted) {
  const char* const value = std::getenv(variable);
  return value != nullptr && std::strcmp(value, wanted) == 0;
}

}  // namespace

CudaStatus CudaPlan::State::create(const Piece* table, std::int32_t pieceCount, const Counts& counts) {
  if (auto s = tables.build(table, pieceCount, counts); !s.ok()) return s;
  if (!parts.allocate(tables.mostParts)) return outOfMemory();
  const char* const occupancy = "cudaOccupancyMaxActiveBlocksPerMultiprocessor";
  if (auto s = called(findGrids(device, &grids), occupancy); !s.ok()) return s;
  if (isSetTo("GRADCLIP_CUDA_ONE_LAUNCH", "1")) {
    if (auto s = called(findOneLaunch(device, tables.gradientTiles(), &oneLaunch), occupancy); !s.ok()) return s;
  }
  follows = grids.follow && !isSetTo("GRADCLIP_CUDA_DEPENDENT_LAUNCH", "0");
  if (auto s = pieces.bind(device, table, pieceCount); !s.ok()) return s;
  noteTypes();
  // The legacy stream would wait for everybody's work, and break a capture.
  const PrivateStream own;
  if (!own.status().ok()) return own.status();
  if (auto s = memory.create(tables, pieceCount, own.stream()); !s.ok()) return s;
  const auto createEvent = [](cudaEvent_t* event) {
    return called(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  };
  if (auto s = createEvent(&worked); !s.ok()) return s;
  for (cudaEvent_t& event : staged) {
    if (auto s = createEvent(&event); !s.ok()) return s;
  }
  if (auto s = stagePieces(0, own.stream()); !s.ok()) return s;
  return called(cudaStreamSynchronize(own.stream()), "cudaStreamSynchronize");
}

/// Waits for the last call's event, which outlives its stream. Of graphs nobody knows what replays are in flight, so
/// that for them the device is waited for.
CudaStatus CudaPlan::destroy(CudaPlan* plan) {
  State* const state = plan->state_;
  const DeviceGuard guard(state->device, state->context);
  CudaStatus status;
  if (state->fault.ok() && state->used) status = called(cudaEventSynchronize(state->worked), "cudaEventSynchronize");
  if (state->fault.ok() && state->lastCapture > 0) status = called(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  if (state->worked != nullptr) cudaEventDestroy(state->worked);
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
  State& s = *state_;
  return inContext(s, [&] {
    bool changed = false;
    if (auto status = s.pieces.rebind(table, &changed); !status.ok()) return status;
    s.dirty = s.dirty || changed;
    s.noteTypes();
    return CudaStatus{};
  });
}

void CudaPlan::State::noteTypes() {
  types = 0;
  elements = 0.0;
  for (std::int32_t i = 0; i < pieces.size(); ++i) {
    if (static_cast<std::uint32_t>(pieces[i].segment) >= tables.gradients) break;
    if (pieces[i].count > 0) types |= pieces[i].dtype == DType::Float64 ? kHasDouble : kHasFloat;
    elements += static_cast<double>(pieces[i].count);
  }
}

CudaStatus CudaPlan::State::stagePieces(unsigned stage, cudaStream_t on) {
  memory.writeStage(stage, pieces, tables, parts, partCount);
  return memory.upload(stage, partCount, on);
}

bool CudaPlan::State::hasCaptures() const {
  return std::any_of(captures, captures + kCaptures, [](std::int64_t id) { return id != 0; });
}

/// Makes these the parts on the device; those that are there already cost nothing.
CudaStatus CudaPlan::State::setParts(const RuleNumbers& rule) {
  const Part* const next = rule.parts();
  const auto wanted = static_cast<unsigned>(rule.partCount);
  if (wanted == 0 || !fault.ok()) return fault;
  if (wanted == partCount && std::memcmp(next, parts.data(), wanted * sizeof(Part)) == 0) return {};
  const char* const why = "another rule for groups while a captured clip or step of groups is open (close it first)";
  if (partCount > 0 && hasCaptures()) return called(cudaErrorStreamCaptureUnsupported, why);
  if (wanted > tables.mostParts)
    return called(cudaErrorInvalidValue, "a rule of more parts than the plan has room for");
  std::copy(next, next + wanted, parts.begin());
  partCount = wanted;
  dirty = true;
  return {};
}

// ---- before work ---------------------------------------------------------------------------------------------------

namespace {

/// Whether a call may work on a stream. A ticket would be the same at every replay, so what is captured has calls of
/// its own.
CudaStatus usable(cudaStream_t stream, const Refusals& refusals) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  if (auto s = called(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing"); !s.ok()) return s;
  return called(status == cudaStreamCaptureStatusNone ? cudaSuccess : cudaErrorStreamCaptureUnsupported,
                refusals.onCapturedStream);
}

/// Whether a stream is one of a device. Asked where the stream is another than before.
CudaStatus onDevice(cudaStream_t stream, int device) {
  if (stream == cudaStreamPerThread) {
    return called(cudaErrorInvalidValue,
                  "the per-thread default stream, which is another on each thread (create a stream)");
  }
#if CUDART_VERSION < 12080
  static_cast<void>(device);  // launching on it fails
#else
  int its = device;
  if (auto s = called(cudaStreamGetDevice(stream, &its), "cudaStreamGetDevice"); !s.ok()) return s;
  if (its != device) return called(cudaErrorInvalidResourceHandle, "a stream of another device than the clipper's");
#endif
  return {};
}

}  // namespace

/// Makes `handle` the plan's stream and brings the device's pieces up to date.
CudaStatus CudaPlan::State::begin(std::int64_t handle, const Refusals& refusals) {
  const cudaStream_t next = streamOf(handle);
  // First, for any other question about a stream that is being captured spoils the capture.
  if (auto s = usable(next, refusals); !s.ok()) return s;
  if (!used || next != stream) {
    if (auto s = onDevice(next, device); !s.ok()) return s;
  }
  if (used && next != stream) {
    if (auto s = called(cudaStreamWaitEvent(next, worked, 0), "cudaStreamWaitEvent"); !s.ok()) return s;
  }
  stream = next;
  used = true;
  behindOwn = false;
  return dirty ? uploadPieces() : CudaStatus{};
}

/// After a call, whether it went well or not. The event is recorded now, not when another stream needs it: by then this
/// one may be captured, or gone. A stream on which it can't be recorded was given nothing and is forgotten.
CudaStatus CudaPlan::State::noteWork(cudaStream_t streamBefore, bool usedBefore) {
  if (!used) return {};
  CudaStatus status = called(cudaEventRecord(worked, stream), "cudaEventRecord");
  if (!status.ok()) {
    stream = streamBefore;
    used = usedBefore;
  }
  return status;
}

/// Waits only where the host is kStages uploads ahead of the device.
CudaStatus CudaPlan::State::uploadPieces() {
  const unsigned stage = nextStage % kStages;
  if (isStaged[stage] && cudaEventQuery(staged[stage]) != cudaSuccess) {
    cudaGetLastError();
    if (auto s = called(cudaEventSynchronize(staged[stage]), "cudaEventSynchronize"); !s.ok()) return s;
  }
  if (auto s = stagePieces(stage, stream); !s.ok()) return s;
  if (auto s = called(cudaEventRecord(staged[stage], stream), "cudaEventRecord"); !s.ok()) return s;
  isStaged[stage] = true;
  ++nextStage;
  dirty = false;
  return {};
}

// ---- launches ------------------------------------------------------------------------------------------------------

MeasureParams CudaPlan::State::measureParams(NormKind kind, double p, std::uint32_t from, std::uint32_t to,
                                             bool zero) const {
  MeasureParams params{};
  params.tiles = memory.tiles;
  params.firstTile = tables.segmentTile[from];
  params.lastTile = tables.segmentTile[to];
  params.partials = memory.fold.partials;
  params.sums = memory.fold.sums;
  params.control = memory.control;
  params.maxima = kind == NormKind::Power ? memory.fold.maxima : nullptr;
  params.p = p;
  params.zeroNonFinite = zero;
  return params;
}

CudaStatus CudaPlan::State::measureTiles(NormKind kind, double p, std::uint32_t from, std::uint32_t to, bool zero) {
  const MeasureParams params = measureParams(kind, p, from, to, zero);
  if (params.firstTile == params.lastTile) return {};
  behindOwn = true;
  return called(enqueueMeasure(grids, stream, kind, params), "cudaLaunchKernel");
}

CudaStatus CudaPlan::State::measure(NormOf norm, std::uint32_t from, std::uint32_t to, bool zero) {
  if (norm.kind != NormKind::Power) return measureTiles(norm.kind, norm.p, from, to, zero);
  if (auto s = measureTiles(NormKind::Inf, 0.0, from, to, zero); !s.ok()) return s;
  if (auto s = decide(decideParams(Purpose::Maxima, measuring(norm), {from, to}, {})); !s.ok()) return s;
  return measureTiles(NormKind::Power, norm.p, from, to, zero);
}

DecideParams CudaPlan::State::decideParams(Purpose purpose, const RuleNumbers& rule, const Span& span,
                                           const Target& target, const GivenNorm& given) const {
  DecideParams params{};
  params.fold = memory.fold;
  params.firstSegment = span.from;
  params.lastSegment = span.to;
  params.firstRun = tables.segmentRun[span.from];
  params.lastRun = tables.segmentRun[span.to];
  params.firstDeep = tables.segmentDeep[span.from];
  params.lastDeep = tables.segmentDeep[span.to];
  if (span.withWeights) {
    params.weights = tables.gradients;
    params.lastRun = tables.segmentRun[tables.segments];
    params.lastDeep = tables.segmentDeep[tables.segments];
  }
  params.types = types;
  params.elements = elements;
  params.purpose = purpose;
  params.rule = rule;
  params.given = given;
  const auto hasSamples = [](const Part& part) { return part.samples > 1; };
  const auto remembers = [](const Part& part) { return part.history != 0; };
  params.parts = {memory.parts, memory.partOfSegment, purpose == Purpose::Parts ? partCount : 0,
                  std::any_of(parts.data(), parts.data() + partCount, hasSamples)};
  params.remembers = std::any_of(parts.data(), parts.data() + params.parts.count, remembers);
  params.control = memory.control;
  params.decision = memory.decision;
  params.finding = memory.finding;
  params.slot = target.slot;
  params.result = memory.result;
  params.ticket = target.ticket;
  params.capture = target.capture;
  return params;
}

CudaStatus CudaPlan::State::decide(const DecideParams& params) {
  const bool behind = bringsUpEarly(params.capture);
  behindOwn = true;
  return called(enqueueDecide(grids, stream, params, behind), "cudaLaunchKernel");
}

ScaleParams CudaPlan::State::scaleParams(Slot* slot) const {
  return {memory.tiles, tables.gradientTiles(), memory.decision, memory.fold.coefficients, memory.result, slot};
}

/// Measures, decides and scales in one launch.
CudaStatus CudaPlan::State::clipAtOnce(Purpose purpose, const RuleNumbers& rule, const Target& target) {
  const OneLaunchParams params{measureParams(rule.norm, rule.p, 0, tables.gradients, rule.policy == Policy::Zero),
                               decideParams(purpose, rule, gradients(), {memory.result, target.ticket, target.capture}),
                               scaleParams(target.slot)};
  return called(enqueueOneLaunch(oneLaunch, stream, rule.norm, params), "cudaLaunchCooperativeKernel");
}

/// Scales while it measures, by a coefficient that decide finds again.
CudaStatus CudaPlan::State::clipLagged(const RuleNumbers& rule, const Target& target) {
  const auto* const history = reinterpret_cast<const double*>(static_cast<std::uintptr_t>(rule.history));
  const LaggedParams params{measureParams(rule.norm, rule.p, 0, tables.gradients, false), history, rule.limit,
                            target.capture};
  if (tables.gradientTiles() > 0) {
    behindOwn = true;
    if (auto s = called(enqueueLagged(grids, stream, rule.norm, params), "cudaLaunchKernel"); !s.ok()) return s;
  }
  return decide(decideParams(Purpose::Global, rule, gradients(), target));
}

/// Where a kernel applies the decision, it is that one which passes the result on to the host.
CudaStatus CudaPlan::State::decideAndScale(DecideParams params, bool scales) {
  if (!scales || tables.gradientTiles() == 0) return decide(params);
  const ScaleParams scale = scaleParams(params.slot);
  params.slot = memory.result;
  if (auto status = decide(params); !status.ok()) return status;
  return called(enqueueScale(grids, stream, scale, bringsUpEarly(params.capture)), "cudaLaunchKernel");
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
    return status.ok() ? s.decide(s.decideParams(Purpose::Norm, measuring(norm), s.gradients(), target)) : status;
  });
}

namespace {

/// Whether it leaves every gradient as it is, unless by policy.
bool onlyMeasures(const RuleNumbers& rule) {
  return rule.granularity != Granularity::Parts && rule.limit.max == kInfinity && rule.limit.inverseScale == 1.0 &&
         rule.history == 0;
}

}  // namespace

CudaStatus CudaPlan::State::clipByNorm(const RuleNumbers& rule, Steps steps, const Target& target) {
  const bool zero = rule.policy == Policy::Zero, adaptive = isAdaptive(rule);
  // What was measured before counted non-finite elements, so ZERO measures again.
  const std::uint32_t from = steps.measures || zero ? 0 : tables.gradients;
  const std::uint32_t to = adaptive ? tables.segments : tables.gradients;
  const bool scales = steps.applies && (zero || target.capture.numbers != nullptr || !onlyMeasures(rule));
  const bool simple = rule.norm != NormKind::Power && rule.granularity != Granularity::Parts && !adaptive;
  if (oneLaunch.blocks > 0 && from == 0 && scales && simple)
    return clipAtOnce(purposeOf(rule.granularity), rule, target);
  const bool sideBySide = tables.stridedCount == 0;
  if (rule.onePass != 0 && steps.measures && scales && sideBySide) return clipLagged(rule, target);
  if (from < to) {
    if (auto status = measure({rule.norm, rule.p}, from, to, zero); !status.ok()) return status;
  }
  return decideAndScale(decideParams(purposeOf(rule.granularity), rule, {0, tables.gradients, adaptive}, target),
                        scales);
}

CudaStatus CudaPlan::clipByNorm(std::int64_t stream, const RuleNumbers& rule, Steps steps, std::int64_t* ticket) {
  return clipped(*state_, stream, rule, ticket,
                 [&](const Target& target) { return state_->clipByNorm(rule, steps, target); });
}

CudaStatus CudaPlan::State::clipWithNorm(const RuleNumbers& rule, const GivenNorm& norm, const Target& target) {
  if (norm.address != 0) {
    int where = -1;
    if (auto s = cudaDeviceOf(norm.address, &where); !s.ok()) return s;
    if (where != device)
      return called(cudaErrorInvalidValue, "a norm at an address that is not on the clipper's device");
  }
  const bool scales = target.capture.numbers != nullptr || !onlyMeasures(rule);
  return decideAndScale(decideParams(Purpose::Given, rule, {0, 0}, target, norm), scales);
}

CudaStatus CudaPlan::clipWithNorm(std::int64_t stream, const RuleNumbers& rule, const GivenNorm& norm,
                                  std::int64_t* ticket) {
  return clipped(*state_, stream, rule, ticket,
                 [&](const Target& target) { return state_->clipWithNorm(rule, norm, target); });
}

/// Under some policies a value rule measures; where these leave everything as it is, the decision is the result.
CudaStatus CudaPlan::State::lookFirst(const RuleNumbers& rule, const Target& target) {
  if (!looksFirst(rule)) return {};
  RuleNumbers maximum = measuring({NormKind::Inf, 0.0});
  maximum.policy = rule.policy;
  if (auto status = measure({NormKind::Inf, 0.0}, 0, tables.gradients, false); !status.ok()) return status;
  return decide(decideParams(Purpose::Value, maximum, gradients(), target));
}

CudaStatus CudaPlan::State::clipByValue(const RuleNumbers& rule, const Target& target) {
  if (auto status = lookFirst(rule, target); !status.ok()) return status;
  ClampParams params{};
  params.tiles = memory.tiles;
  params.tileCount = tables.gradientTiles();
  params.decision = looksFirst(rule) ? memory.decision : nullptr;
  params.limits = {rule.min, rule.max, rule.limit.inverseScale, rule.policy == Policy::Zero};
  params.parts = {memory.parts, memory.partOfSegment, static_cast<std::uint32_t>(rule.partCount), false};
  params.control = memory.control;
  params.slot = target.slot;
  params.ticket = target.ticket;
  params.capture = target.capture;
  return called(enqueueClamp(grids, stream, params, tables.stridedCount > 0), "cudaLaunchKernel");
}

CudaStatus CudaPlan::clipByValue(std::int64_t stream, const RuleNumbers& rule, std::int64_t* ticket) {
  return clipped(*state_, stream, rule, ticket,
                 [&](const Target& target) { return state_->clipByValue(rule, target); });
}

// ---- results -------------------------------------------------------------------------------------------------------

/// Polls, and asks the event of the last call now and then, for a fault would let no result come. On any thread, beside
/// other calls: nothing here changes the plan.
CudaStatus CudaPlan::await(std::int64_t ticket, bool* overwritten) {
  const State& s = *state_;
  const std::int64_t* const written = &s.memory.hostSlot(ticket)->ticket;
  const auto arrived = [&] {
    const std::int64_t now = __atomic_load_n(written, __ATOMIC_ACQUIRE);
    *overwritten = now > ticket;
    return now >= ticket;
  };
  const DeviceGuard guard(s.device, s.context);
  for (unsigned round = 0; !arrived(); ++round) {
    if (round % 64 != 0) continue;
    const cudaError_t error = cudaEventQuery(s.worked);
    if (error == cudaErrorNotReady) {
      cudaGetLastError();
      sched_yield();
    } else if (error != cudaSuccess) {
      return called(error, "cudaEventQuery");
    } else if (!arrived()) {
      return called(cudaErrorNotReady, "await: all work is done, but no result has come");
    }
  }
  return {};
}

CudaStatus CudaPlan::synchronize() {
  State& s = *state_;
  if (!s.used) return s.fault;
  return inContext(s, [&] { return called(cudaEventSynchronize(s.worked), "cudaEventSynchronize"); });
}

CudaStatus CudaPlan::norm(NormOf norm, double inverseScale, std::int32_t fromSegment, std::int32_t toSegment,
                          double* value) {
  State& s = *state_;
  RuleNumbers rule = measuring(norm);
  rule.limit.inverseScale = inverseScale;
  const auto from = static_cast<std::uint32_t>(fromSegment), to = static_cast<std::uint32_t>(toSegment);
  return onStream(s, addressOf(s.stream), [&] {
    const DecideParams params = s.decideParams(Purpose::Norm, rule, {from, to}, s.targetOf(PlanMemory::kNormTicket));
    if (auto status = s.decide(params); !status.ok()) return status;
    const CudaStatus status = called(cudaStreamSynchronize(s.stream), "cudaStreamSynchronize");
    *value = s.memory.hostSlot(PlanMemory::kNormTicket)->globalNorm;
    return status;
  });
}

CudaStatus CudaPlan::partials(double* to) {
  State& s = *state_;
  return onStream(s, addressOf(s.stream), [&] {
    double* at = to;
    cudaError_t error = cudaSuccess;
    const auto copy = [&](const Planes& from, std::uint32_t count) {
      for (unsigned plane = 0; plane < s.memory.fold.planes && error == cudaSuccess; ++plane, at += count) {
        error = cudaMemcpyAsync(at, from.values + plane * from.stride, count * sizeof(double), cudaMemcpyDeviceToHost,
                                s.stream);
      }
    };
    copy(s.memory.fold.partials, s.tables.segmentTile[s.tables.segments]);
    copy(s.memory.fold.sums, s.tables.segments);
    if (error != cudaSuccess) return called(error, "cudaMemcpyAsync");
    return called(cudaStreamSynchronize(s.stream), "cudaStreamSynchronize");
  });
}

CudaStatus CudaPlan::createHistory(std::int64_t bytes, std::int64_t* address) {
  State& s = *state_;
  return inContext(s, [&] {
    const PrivateStream own;
    return own.status().ok() ? s.histories.create(static_cast<std::size_t>(bytes), own.stream(), address)
                             : own.status();
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
    if (decision.mode == Mode::Global || decision.mode == Mode::Untouched) return CudaStatus{};
    return read(value, s.memory.fold.coefficients + segment, sizeof *value);
  });
}

const void* CudaPlan::ring() const { return state_->memory.hostSlot(0); }

std::int64_t CudaPlan::coefficientAddress() const { return addressOf(&state_->memory.decision->coefficient); }

std::int64_t CudaPlan::findingAddress() const { return addressOf(state_->memory.finding); }

}  // namespace gradclip
