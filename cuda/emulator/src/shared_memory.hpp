// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "sanitizers.hpp"

namespace gradclip::emulator {

/// The dynamic shared memory of the block that runs, poisoned, up against a page that no access survives.
class SharedMemory {
 public:
  static constexpr std::size_t kLimit = 48 << 10;  ///< what a launch gets without asking for more
  static constexpr std::size_t kMost = 227 << 10;  ///< what a kernel can ask for

  SharedMemory();

  /// New memory for a block; `context`: the stream's.
  void start(std::size_t bytes, void* context);

  GRADCLIP_UNTRACKED void* base() const { return base_; }
  bool holds(const void* p, std::size_t bytes) const;

 private:
  char* arena_;
  char* base_;
  std::size_t bytes_ = 0;
};

}  // namespace gradclip::emulator
