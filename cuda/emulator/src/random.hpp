// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sanitizers.hpp"

namespace gradclip::emulator {

/// xorshift64*; the high half of each number.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U | 1) {}

  GRADCLIP_UNTRACKED std::uint32_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<std::uint32_t>((state_ * 0x2545f4914f6cdd1dU) >> 32);
  }

  /// One of the set bits of `bits`, as a number from 0 to 31.
  GRADCLIP_UNTRACKED unsigned bitOf(std::uint32_t bits) {
    const unsigned turn = next() & 31;
    const std::uint32_t turned = bits >> turn | (turn == 0 ? 0 : bits << (32 - turn));
    return (static_cast<unsigned>(__builtin_ctz(turned)) + turn) & 31;
  }

 private:
  std::uint64_t state_;
};

}  // namespace gradclip::emulator
