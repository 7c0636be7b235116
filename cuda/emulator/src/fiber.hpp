// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "sanitizers.hpp"

namespace gradclip::emulator {

/// A stack of its own above memory that no access survives, or (without entry) the stack of the caller.
class Fiber {
 public:
  Fiber() = default;
  /// `context`: whose past the fiber shares, for ThreadSanitizer.
  Fiber(void (*entry)(), void* context);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Leaves `this` for `to`; returns when something switches back.
  void switchTo(Fiber& to);

  /// Leaves `this` for good: its frames are given up as they are. Only renew() makes it usable again.
  [[noreturn]] void abandonFor(Fiber& to);

  /// To be called first on a new stack.
  static void entered();

  /// As new: no frames, nothing that the sanitizers know.
  void renew(void* context);

  /// Whose past it shares.
  GRADCLIP_UNTRACKED void* past() const { return past_; }

  /// Makes `this` stand for the calling thread.
  GRADCLIP_UNTRACKED void standForCaller() { context_ = currentContext(); }

 private:
  void start(Fiber& to, bool forGood);
  void finish();
  void map();

  void (*entry_)() = nullptr;
  void* pointer_ = nullptr;
  char* stack_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t place_ = 0;  ///< unused bytes at the top
  void* fakeStack_ = nullptr;
  void* context_ = nullptr;
  void* past_ = nullptr;
};

}  // namespace gradclip::emulator
