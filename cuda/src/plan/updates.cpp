// SPDX-License-Identifier: Apache-2.0
// Steps: clips whose gradients go into an update of their weights.
#include "plan/updates.hpp"

#include "plan/state.hpp"

namespace gradclip {
namespace {

/// Of state, so that its vectors are aligned as those of the gradient and its weights.
constexpr std::uint64_t kAlignment = 256;

std::uint64_t aligned(std::uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

template <class T>
CudaStatus copyTo(const T* to, const HostArray<T>& from, cudaStream_t stream) {
  return called(
      cudaMemcpyAsync(const_cast<T*>(to), from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice, stream),
      "cudaMemcpyAsync");
}

}  // namespace

// ---- state ---------------------------------------------------------------------------------------------------------

UpdateMemory::~UpdateMemory() {
  if (device_ != nullptr) cudaFree(device_);
  cudaGetLastError();
}

CudaStatus UpdateMemory::create(const Updated& updated, const BoundPieces& pieces, const Tables& tables,
                                cudaStream_t stream) {
  const char* const unfit = "updates of a plan that does not have a piece of weights for each of its gradients";
  const auto gradients = static_cast<std::int32_t>(tables.gradients);
  bool fits = !exists() && pieces.size() == 2 * gradients;
  for (std::int32_t i = 0; fits && i < gradients; ++i) {
    fits = pieces[i].segment == i && pieces[gradients + i].segment == gradients + i &&
           pieces.length(i) == pieces.length(gradients + i);
  }
  if (!fits) return called(cudaErrorInvalidValue, unfit);
  form_ = updated.form;
  masterWeights_ = updated.masterWeights;
  if (auto s = number(updated, pieces); !s.ok()) return s;
  const std::size_t bytes = layOut(tables);
  unsigned char* memory = nullptr;
  if (auto s = called(cudaMalloc(reinterpret_cast<void**>(&memory), bytes), "cudaMalloc"); !s.ok()) return s;
  device_ = memory;
  layOut(tables);
  CudaStatus status = fill(bytes, stream);
  if (!status.ok()) {
    cudaFree(device_);
    device_ = nullptr;
    cudaGetLastError();
  }
  return status;
}

/// A tensor's pieces, which are its rows, have their state side by side.
CudaStatus UpdateMemory::number(const Updated& updated, const BoundPieces& pieces) {
  const auto tensors = static_cast<std::size_t>(updated.tensors);
  const auto gradients = static_cast<std::size_t>(pieces.size()) / 2;
  if (!pieces_.allocate(gradients + 1) || !firstPiece_.allocate(tensors + 1) || !progress_.allocate(tensors))
    return outOfMemory();
  table_.tensors = static_cast<std::uint32_t>(tensors);
  slotBytes_ = 0;
  for (std::size_t i = 0; i <= tensors; ++i) firstPiece_[i] = static_cast<std::uint32_t>(updated.firstPiece[i]);
  if (firstPiece_[0] != 0 || firstPiece_[tensors] != gradients)
    return called(cudaErrorInvalidValue, "tensors of updates that are not those of the plan");
  for (std::size_t i = 0; i < tensors; ++i) {
    progress_[i] = {0, 1.0, 1.0, 0.0};
    slotBytes_ = aligned(slotBytes_);
    for (std::size_t k = firstPiece_[i]; k < firstPiece_[i + 1]; ++k) {
      const auto weights = static_cast<std::int32_t>(gradients + k);
      pieces_[k] = {slotBytes_, static_cast<std::uint32_t>(i), 0};
      const std::uint64_t size = pieces[weights].dtype == DType::Float64 ? 8 : 4;
      slotBytes_ += size * static_cast<std::uint64_t>(pieces.length(weights));
    }
  }
  slotBytes_ = aligned(slotBytes_);
  pieces_[gradients].state = slotBytes_;
  return {};
}

/// From no memory it only counts.
std::size_t UpdateMemory::layOut(const Tables& tables) {
  std::uint64_t used = 0;
  const auto start = reinterpret_cast<std::uintptr_t>(device_);
  const auto take = [&](std::uint64_t bytes) {
    const std::uint64_t at = used;
    used += aligned(bytes);
    return start + at;
  };
  table_.progress = reinterpret_cast<TensorProgress*>(take(progress_.size() * sizeof(TensorProgress)));
  table_.pieces = reinterpret_cast<const UpdatePiece*>(take((tables.gradients + 1) * sizeof(UpdatePiece)));
  table_.firstPiece = reinterpret_cast<const std::uint32_t*>(take(firstPiece_.size() * sizeof(std::uint32_t)));
  for (int slot = 0; slot < statesOf(static_cast<UpdateForm>(form_)); ++slot) table_.slots[slot] = take(slotBytes_);
  // As long as the others, so that one place serves all: there are few weights of 32 or 64 bits among 16-bit ones.
  table_.master = masterWeights_ ? take(slotBytes_) : 0;
  return used;
}

CudaStatus UpdateMemory::fill(std::size_t bytes, cudaStream_t stream) {
  if (auto s = called(cudaMemsetAsync(device_, 0, bytes, stream), "cudaMemsetAsync"); !s.ok()) return s;
  if (auto s = copyTo(table_.progress, progress_, stream); !s.ok()) return s;
  if (auto s = copyTo(table_.pieces, pieces_, stream); !s.ok()) return s;
  if (auto s = copyTo(table_.firstPiece, firstPiece_, stream); !s.ok()) return s;
  return called(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

CudaStatus CudaPlan::createUpdates(const Updated& updated) {
  State& s = *state_;
  return inContext(s, [&] {
    const PrivateStream own;
    return own.status().ok() ? s.updates.create(updated, s.pieces, s.tables, own.stream()) : own.status();
  });
}

std::int64_t CudaPlan::progressAddress() const { return addressOf(state_->updates.table().progress); }

std::int64_t CudaPlan::updateStateAddress(std::int32_t slot, std::int32_t tensor) const {
  return static_cast<std::int64_t>(state_->updates.state(slot, tensor));
}

// ---- steps ---------------------------------------------------------------------------------------------------------

/// Launched where there is no tile, too: steps are counted there.
CudaStatus CudaPlan::State::update(const RuleNumbers& rule, const UpdateNumbers& numbers, const Target& target,
                                   bool clamps, bool readsDecision) {
  if (!updates.fits(numbers)) return called(cudaErrorInvalidValue, "an update of another form than its state");
  UpdateParams params{};
  params.tiles = memory.tiles;
  params.tileCount = tables.gradientTiles();
  params.weights = tables.gradients;
  params.decision = readsDecision ? memory.decision : nullptr;
  params.coefficients = memory.fold.coefficients;
  params.result = memory.result;
  params.slot = target.slot;
  params.ticket = target.ticket;
  params.clamps = clamps;
  params.limits = {rule.min, rule.max, rule.limit.inverseScale, rule.policy == Policy::Zero};
  params.parts = {memory.parts, memory.partOfSegment, static_cast<std::uint32_t>(rule.partCount), false};
  params.control = memory.control;
  params.numbers = numbers;
  params.updates = updates.table();
  params.capture = target.capture;
  return called(enqueueUpdate(grids, stream, params, bringsUpEarly(params.capture)), "cudaLaunchKernel");
}

CudaStatus CudaPlan::State::stepByNorm(const RuleNumbers& rule, const UpdateNumbers& numbers, const Target& target) {
  const bool adaptive = isAdaptive(rule);
  const std::uint32_t to = adaptive ? tables.segments : tables.gradients;
  if (auto s = measure({rule.norm, rule.p}, 0, to, rule.policy == Policy::Zero); !s.ok()) return s;
  DecideParams params = decideParams(purposeOf(rule.granularity), rule, {0, tables.gradients, adaptive}, target);
  params.slot = memory.result;  // the update passes it on to the host
  if (auto s = decide(params); !s.ok()) return s;
  return update(rule, numbers, target, false, true);
}

CudaStatus CudaPlan::State::stepByValue(const RuleNumbers& rule, const UpdateNumbers& numbers, const Target& target) {
  if (auto s = lookFirst(rule, target); !s.ok()) return s;
  return update(rule, numbers, target, true, looksFirst(rule));
}

CudaStatus CudaPlan::stepByNorm(std::int64_t stream, const RuleNumbers& rule, const UpdateNumbers& numbers,
                                std::int64_t* ticket) {
  return clipped(
      *state_, stream, rule, ticket, [&](const Target& target) { return state_->stepByNorm(rule, numbers, target); },
      kOfSteps);
}

CudaStatus CudaPlan::stepByValue(std::int64_t stream, const RuleNumbers& rule, const UpdateNumbers& numbers,
                                 std::int64_t* ticket) {
  return clipped(
      *state_, stream, rule, ticket, [&](const Target& target) { return state_->stepByValue(rule, numbers, target); },
      kOfSteps);
}

}  // namespace gradclip
