// SPDX-License-Identifier: Apache-2.0
#include "fiber.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

#include "switch.hpp"

namespace gradclip::emulator {

namespace {

// Sanitized frames are several times larger.
constexpr std::size_t kGuardBytes = 64 << 10;
constexpr std::size_t kStackBytes = kSanitized ? 256 << 10 : 64 << 10;

// Were the stacks of a warp to start at the same place in their pages, they would share a few lines of the first cache:
// a shuffle took 37 ns a lane instead of 33.
constexpr std::size_t kPlaces = 64;
constexpr std::size_t kPlaceBytes = 5 * 64;

// One thread at a time runs kernels, so one of each will do.
Fiber* left = nullptr;
Fiber* entering = nullptr;

}  // namespace

GRADCLIP_UNTRACKED Fiber::Fiber(void (*entry)(), void* context) : entry_(entry), bytes_(kStackBytes) {
  static std::size_t made = 0;
  place_ = made++ % kPlaces * kPlaceBytes % 4096;
  void* all = mmap(nullptr, kGuardBytes + bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) throw std::bad_alloc();
  stack_ = static_cast<char*>(all) + kGuardBytes;
  As as(context);
  past_ = context;
  map();
  pointer_ = prepareStack(stack_, bytes_ - place_, entry_);
  context_ = createContext();
}

Fiber::~Fiber() {
  if (entry_ == nullptr) return;
  munmap(stack_ - kGuardBytes, kGuardBytes + bytes_);
  destroyContext(context_);
}

GRADCLIP_UNTRACKED void Fiber::map() {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  if (mmap(stack_, bytes_, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) throw std::bad_alloc();
}

GRADCLIP_UNTRACKED void Fiber::renew(void* context) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_, bytes_);
  fakeStack_ = nullptr;
#endif
  As as(context);
  past_ = context;
  if (kTracksRaces) {
    map();  // A new mapping: nobody has touched these bytes yet.
    destroyContext(context_);
    context_ = createContext();
  }
  pointer_ = prepareStack(stack_, bytes_ - place_, entry_);
}

GRADCLIP_UNTRACKED void Fiber::start(Fiber& to, bool forGood) {
  left = this;
  entering = &to;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(forGood ? nullptr : &fakeStack_, to.stack_, to.bytes_);
#else
  (void)forGood;
#endif
  enterContext(to.context_);
}

GRADCLIP_UNTRACKED void Fiber::finish() {
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(fakeStack_, &bottom, &bytes);
  if (left->entry_ == nullptr) {  // The caller's stack, whose place only the sanitizer knows.
    left->stack_ = static_cast<char*>(const_cast<void*>(bottom));
    left->bytes_ = bytes;
  }
#endif
}

GRADCLIP_UNTRACKED void Fiber::entered() { entering->finish(); }

GRADCLIP_UNTRACKED void Fiber::switchTo(Fiber& to) {
  start(to, false);
  gradclip_emulator_switch(&pointer_, to.pointer_);
  finish();
}

GRADCLIP_UNTRACKED void Fiber::abandonFor(Fiber& to) {
  start(to, true);
  gradclip_emulator_switch(&pointer_, to.pointer_);
  std::abort();
}

}  // namespace gradclip::emulator
