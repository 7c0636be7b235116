// SPDX-License-Identifier: Apache-2.0
/// What a kernel's threads do with memory, counted in translated code, where uses of a value are visible.
#pragma once

#include <cstdint>

namespace gradclip::ptx {

/// Of one thread, since its kernel started. A warp waits where an instruction reads what a load has not brought yet;
/// all loads issued before that have come too, then. So `waits` is the length of the chain of loads that depend on each
/// other.
struct Cost {
  std::uint32_t loads = 0;     ///< of global memory
  std::uint32_t vectors = 0;   ///< of these, of 16 bytes at once
  std::uint32_t waits = 0;
  std::uint32_t branches = 0;  ///< conditional ones that were reached
  std::uint32_t arrived = 0;   ///< loads that have been waited for

  static Cost& mine();

  /// Another load, of bytes; 0: a further register of the same. `stamp` is its register's.
  void load(std::uint32_t& stamp, unsigned bytes) {
    if (bytes != 0) ++loads;
    if (bytes == 16) ++vectors;
    stamp = loads;
  }
  void use(std::uint32_t stamp) {
    if (stamp <= arrived) return;
    ++waits;
    arrived = loads;
  }
  void branch() { ++branches; }
};

/// Of the launches of a kernel since the last reset: the most of any thread.
struct KernelCost {
  std::int64_t launches, threads;
  Cost most;
};

/// `name` is part of the kernel's mangled name; of one kernel alone.
KernelCost costOf(const char* name);
void resetCosts();

}  // namespace gradclip::ptx
