// SPDX-License-Identifier: Apache-2.0
// Runs an operation on a vector's bytes over memory of any length and alignment.
#pragma once

#include "cpu/vectors.hpp"

GRADCLIP_BEGIN_LEVEL

/// Calls operation(p) on each Operation::kBytes of x; the rest passes through a copy, padded with bytes that the
/// operation does not count. The operation returns how many elements it changed, and stores only if it changed some.
/// Returns the sum.
template <class Operation>
HWY_INLINE std::int64_t transform(void* x, std::size_t bytes, const Operation& operation) {
  constexpr std::size_t kBytes = Operation::kBytes;
  auto* p = static_cast<Byte*>(x);
  std::int64_t changed = 0;
  for (; bytes >= kBytes; bytes -= kBytes, p += kBytes) changed += operation(p);
  if (bytes != 0) {
    Byte padded[kBytes];
    std::memset(padded, Operation::kPadding, kBytes);
    std::memcpy(padded, p, bytes);
    const std::int64_t last = operation(padded);
    if (last != 0) std::memcpy(p, padded, bytes);
    changed += last;
  }
  return changed;
}

GRADCLIP_END_LEVEL;
