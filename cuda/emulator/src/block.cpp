// SPDX-License-Identifier: Apache-2.0
#include "block.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace gradclip::emulator {

namespace {
constexpr unsigned kNobody = ~0U;
}

std::vector<Block*>& Block::together() {
  static auto* blocks = new std::vector<Block*>{new Block};  // never deleted: threads of a JVM outlive main's statics
  return *blocks;
}

Block& Block::instance() {
  if (running_ == nullptr) running_ = together().front();
  return *running_;
}

void Block::seed(std::uint64_t order) {
  ordered_ = order == 0;
  random_ = Random(order);
}

void Block::startGrid(const detail::Kernel& kernel, const void* params, void* context) {
  kernel_ = kernel;
  params_ = params;
  fault_ = cudaSuccess;
  host_.standForCaller();
  context_ = context;
  if (kTracksRaces) {
    delete grid_;
    grid_ = new GridTokens();
  }
  releaseAs(context, &grid_->start);
  setGrid();
}

void Block::endGrid() {
  acquireAs(context_, &grid_->end);
  if (fault_ == cudaSuccess) return;
  for (Block* block : together()) {
    for (const auto& fiber : block->fibers_) fiber->renew(context_);
  }
}

/// Makes a block ready to run from its beginning.
void Block::start(unsigned number) {
  // Two streams in turn, as a stream and the default one are: each finds the fibers of its last launch.
  if (kTracksRaces && this == together().front() && !fibers_.empty() && fibers_.front()->past() != context_) {
    fibers_.swap(otherFibers_);
  }
  while (fibers_.size() < kernel_.block) fibers_.push_back(std::make_unique<Fiber>(threadMain, context_));
  // A fiber remembers its last launch: on another stream that would pass for an order. 0.7 ms a fiber.
  for (unsigned i = 0; kTracksRaces && i < kernel_.block; ++i) {
    if (fibers_[i]->past() != context_) fibers_[i]->renew(context_);
  }
  number_ = number;
  warpCount_ = (kernel_.block + 31) / 32;
  if (kTracksRaces) {
    delete tokens_;
    tokens_ = new Tokens();
  }
  shared_.start(kernel_.sharedBytes, context_);
  releaseAs(context_, &tokens_->start);
  // Thread i of one block and of the next must not pass for one thread.
  unsigned turn = static_cast<unsigned>((std::uint64_t{number} * 37) % kernel_.block);
  for (unsigned i = 0; i < kernel_.block; ++i) {
    fiber_[i] = fibers_[turn].get();
    if (++turn == kernel_.block) turn = 0;
  }
  for (unsigned w = 0; w < warpCount_; ++w) {
    const unsigned lanes = kernel_.block - 32 * w;
    warps_[w].start(lanes >= 32 ? ~0U : (1U << lanes) - 1);
    systemFences_[w] = 0;
    early_[w] = kernel_.how == How::Behind ? ~0U : 0;
  }
  ready_ = warpCount_ == 32 ? ~0U : (1U << warpCount_) - 1;
  atBarrier_ = ended_ = barriers_ = polling_ = 0;
  current_ = 0;
}

/// Runs until all threads have ended, or those that could go on have given way.
void Block::takeTurn() {
  for (unsigned w = 0; polling_ > 0 && w < warpCount_; ++w) {
    warps_[w].runnable |= warps_[w].polling;
    warps_[w].polling = 0;
    if (warps_[w].runnable != 0) ready_ |= 1U << w;
  }
  polling_ = 0;
  progressed_ = false;
  running_ = this;
  runs_ = true;
  setBlock();
  current_ = pick();
  setIndex();
  host_.switchTo(*fiber_[current_]);
  runs_ = false;
}

GRADCLIP_UNTRACKED void Block::setGrid() {
  gridDim.x = kernel_.grid;
  blockDim.x = kernel_.block;
}

GRADCLIP_UNTRACKED void Block::setBlock() { blockIdx = {number_, 0, 0}; }

GRADCLIP_UNTRACKED void Block::setIndex() { threadIdx = {current_, 0, 0}; }

GRADCLIP_UNTRACKED void Block::threadMain() {
  Fiber::entered();
  for (;;) {
    instance().runThread();
    instance().endThread();
  }
}

GRADCLIP_UNTRACKED void Block::runThread() {
  acquire(&grid_->start);
  acquire(&tokens_->start);
  kernel_.invoke(kernel_.kernel, params_);
  release(&grid_->end);
}

GRADCLIP_UNTRACKED void Block::endThread() {
  note();
  Warp& warp = warps_[current_ / 32];
  const std::uint32_t bit = 1U << lane();
  warp.runnable &= ~bit;
  warp.ended |= bit;
  if (warp.runnable == 0) ready_ &= ~(1U << current_ / 32);
  if (++ended_ == kernel_.block) {
    fiber_[current_]->switchTo(host_);
  } else {
    goOn(current_);
  }
}

GRADCLIP_UNTRACKED unsigned Block::pick() {
  unsigned warp = current_ / 32;
  if (ordered_) {
    if ((ready_ >> warp & 1) == 0) {
      if (ready_ == 0) return kNobody;
      warp = static_cast<unsigned>(__builtin_ctz(ready_));
    }
    return 32 * warp + static_cast<unsigned>(__builtin_ctz(warps_[warp].runnable));
  }
  // Staying with a warp most of the time keeps its lanes near each other, as on a GPU.
  if ((ready_ >> warp & 1) == 0 || (random_.next() & 7) == 0) {
    if (ready_ == 0) return kNobody;
    warp = random_.bitOf(ready_);
  }
  return 32 * warp + random_.bitOf(warps_[warp].runnable);
}

/// Lets another thread run, or `self` where it is the next, or, where all who could go on have given way, another
/// block; returns when `self` goes on.
GRADCLIP_UNTRACKED void Block::goOn(unsigned self) {
  const unsigned next = pick();
  if (next == kNobody) {
    if (polling_ == 0) stuck();
    fiber_[self]->switchTo(host_);
    return;
  }
  current_ = next;
  setIndex();
  if (next != self) fiber_[self]->switchTo(*fiber_[next]);
}

GRADCLIP_UNTRACKED void Block::openBarrier() {
  for (unsigned w = 0; w < warpCount_; ++w) {
    warps_[w].runnable = warps_[w].atBarrier;
    warps_[w].atBarrier = 0;
    ready_ |= 1U << w;
  }
  atBarrier_ = 0;
  ++barriers_;
  if (ordered_) current_ = 0;  // ascending from the first warp again
}

GRADCLIP_UNTRACKED void Block::giveWay() {
  if (hopeless_)
    fault(cudaErrorLaunchFailure, "polls what no block that runs will change (are they launched to run together?)");
  const unsigned self = current_;
  Warp& warp = warps_[self / 32];
  const std::uint32_t bit = 1U << lane();
  warp.runnable &= ~bit;
  warp.polling |= bit;
  ++polling_;
  if (warp.runnable == 0) ready_ &= ~(1U << self / 32);
  goOn(self);
}

GRADCLIP_UNTRACKED void Block::barrier() {
  note();
  // Two tokens in turn: a thread that is at the next barrier already orders nothing for one that wakes from this.
  char* token = &tokens_->barrier[barriers_ & 1];
  release(token);
  const unsigned self = current_;
  Warp& warp = warps_[self / 32];
  const std::uint32_t bit = 1U << lane();
  warp.runnable &= ~bit;
  warp.atBarrier |= bit;
  if (warp.runnable == 0) ready_ &= ~(1U << self / 32);
  if (++atBarrier_ == kernel_.block) openBarrier();
  goOn(self);
  acquire(token);
}

GRADCLIP_UNTRACKED std::uint64_t Block::meet(Together what, unsigned mask, std::uint64_t value, unsigned source) {
  const unsigned number = current_ / 32;
  const unsigned own = lane();
  const std::uint32_t bit = 1U << own;
  Warp& warp = warps_[number];
  if ((mask & bit) == 0) {
    char why[128];
    std::snprintf(why, sizeof(why), "%s with mask %08x, which leaves out the lane that calls", name(what), mask);
    fault(cudaErrorLaunchFailure, why);
  }
  Meeting& meeting = warp.join(what, mask);
  char* token = &tokens_->warp[number][meeting.token];
  if (what == Together::Sync) release(token);
  warp.value[own] = value;
  warp.source[own] = static_cast<unsigned char>(source);
  meeting.arrived |= bit;
  warp.runnable &= ~bit;
  if (meeting.arrived == mask) {
    note();
    warp.complete(meeting);
    warp.runnable |= mask;
    ready_ |= 1U << number;
    if (!ordered_) goOn(current_);
  } else {
    if (warp.runnable == 0) ready_ &= ~(1U << number);
    goOn(current_);
  }
  if (what == Together::Sync) acquire(token);
  return warp.value[own];
}

GRADCLIP_UNTRACKED void Block::fence(bool system) {
  release(&grid_->fence);
  acquire(&grid_->fence);
  if (system) systemFences_[current_ / 32] |= 1U << lane();
}

GRADCLIP_UNTRACKED void Block::fault(cudaError_t code, const char* why) {
  char line[768];
  const int length = std::snprintf(line, sizeof(line), "gradclip emulator: %s: block %u, thread %u: %s\n",
                                   cudaGetErrorName(code), blockIdx.x, current_, why);
  const auto bytes = static_cast<std::size_t>(length) < sizeof(line) ? static_cast<std::size_t>(length) : sizeof(line);
  if (write(STDERR_FILENO, line, bytes) < 0) {
    // Nowhere to say it; the code says it too.
  }
  fault_ = code;
  release(&grid_->end);
  fiber_[current_]->abandonFor(host_);
}

/// Nobody can go on, so those who wait, wait for a thread that never comes.
GRADCLIP_UNTRACKED void Block::stuck() {
  char why[512];
  for (unsigned w = 0; w < warpCount_; ++w) {
    const Warp& warp = warps_[w];
    if (warp.meetings == 0) continue;
    const Meeting& meeting = warp.meeting[0];
    const std::uint32_t missing = meeting.mask & ~meeting.arrived;
    std::snprintf(why, sizeof(why),
                  "%s with mask %08x in warp %u was reached by lanes %08x only; of the others %08x have ended, %08x "
                  "wait in __syncthreads, %08x elsewhere, %08x do not exist",
                  name(meeting.what), meeting.mask, w, meeting.arrived, missing & warp.ended, missing & warp.atBarrier,
                  missing & warp.lanes & ~warp.ended & ~warp.atBarrier, missing & ~warp.lanes);
    fault(cudaErrorLaunchFailure, why);
  }
  std::snprintf(why, sizeof(why), "__syncthreads was reached by %u of %u threads; %u have ended", atBarrier_,
                kernel_.block, ended_);
  fault(cudaErrorLaunchFailure, why);
}

}  // namespace gradclip::emulator
