// SPDX-License-Identifier: Apache-2.0
/// Atomic operations of a kernel, relaxed as CUDA's, on global or shared memory. Untracked: ThreadSanitizer would report
/// the block that is last to arrive when it resets the counter by a plain write, which fences allow.
#pragma once

#include <cstddef>

#include "untracked.h"

namespace gradclip::emulator::detail {

/// The bytes behind an address in global or shared memory; a fault where there are none.
void* atomicTarget(void* p, std::size_t bytes);

template <class T>
GRADCLIP_UNTRACKED T* atomicTarget(T* p) {
  return static_cast<T*>(atomicTarget(static_cast<void*>(p), sizeof(T)));
}

template <class T>
GRADCLIP_UNTRACKED T atomicMaximum(T* p, T value) {
  T* target = atomicTarget(p);
  T old = __atomic_load_n(target, __ATOMIC_RELAXED);
  while (old < value && !__atomic_compare_exchange_n(target, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

}  // namespace gradclip::emulator::detail

GRADCLIP_UNTRACKED inline unsigned atomicAdd(unsigned* p, unsigned value) {
  return __atomic_fetch_add(gradclip::emulator::detail::atomicTarget(p), value, __ATOMIC_RELAXED);
}

GRADCLIP_UNTRACKED inline unsigned long long atomicAdd(unsigned long long* p, unsigned long long value) {
  return __atomic_fetch_add(gradclip::emulator::detail::atomicTarget(p), value, __ATOMIC_RELAXED);
}

GRADCLIP_UNTRACKED inline unsigned atomicOr(unsigned* p, unsigned value) {
  return __atomic_fetch_or(gradclip::emulator::detail::atomicTarget(p), value, __ATOMIC_RELAXED);
}

GRADCLIP_UNTRACKED inline unsigned long long atomicOr(unsigned long long* p, unsigned long long value) {
  return __atomic_fetch_or(gradclip::emulator::detail::atomicTarget(p), value, __ATOMIC_RELAXED);
}

GRADCLIP_UNTRACKED inline unsigned atomicMax(unsigned* p, unsigned value) {
  return gradclip::emulator::detail::atomicMaximum(p, value);
}

GRADCLIP_UNTRACKED inline unsigned long long atomicMax(unsigned long long* p, unsigned long long value) {
  return gradclip::emulator::detail::atomicMaximum(p, value);
}

GRADCLIP_UNTRACKED inline unsigned atomicExch(unsigned* p, unsigned value) {
  return __atomic_exchange_n(gradclip::emulator::detail::atomicTarget(p), value, __ATOMIC_RELAXED);
}

GRADCLIP_UNTRACKED inline unsigned long long atomicExch(unsigned long long* p, unsigned long long value) {
  return __atomic_exchange_n(gradclip::emulator::detail::atomicTarget(p), value, __ATOMIC_RELAXED);
}
