// SPDX-License-Identifier: Apache-2.0
/// How a kernel reads and writes global memory, and where its shared memory is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace gradclip::emulator {

namespace detail {

/// The bytes behind a device address. The address itself can't be dereferenced, so an unchecked access always crashes.
/// Not aligned to `bytes`, or not within one live allocation: the launch ends with a fault.
void* target(const void* p, std::size_t bytes, bool write);

/// Writes `bytes` at a target as host threads that poll it must see it: whole, and after a system fence released.
void storeShared(void* target, std::uint64_t bits, std::size_t bytes);
bool polledByHost(const void* target);

/// Lets all others run that can, then reads.
unsigned poll(const unsigned* p);

void* sharedMemory(std::size_t alignment);

template <class T>
constexpr bool kAccessible = std::is_trivially_copyable_v<T> &&
                             (sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);

}  // namespace detail

template <class T>
T loadGlobal(const void* p) {
  static_assert(detail::kAccessible<T>, "1, 2, 4, 8 or 16 bytes, as one access of a GPU");
  T value;
  std::memcpy(&value, __builtin_assume_aligned(detail::target(p, sizeof(T), false), sizeof(T)), sizeof(T));
  return value;
}

/// A word that another block changes, as it is now: what a volatile read is on a GPU.
inline unsigned pollGlobal(const unsigned* p) { return detail::poll(p); }

/// What griddepcontrol.wait is on a GPU: the kernel before has ended, for this thread.
void awaitKernelBefore();

template <class T>
void storeGlobal(void* p, T value) {
  static_assert(detail::kAccessible<T>, "1, 2, 4, 8 or 16 bytes, as one access of a GPU");
  void* to = detail::target(p, sizeof(T), true);
  if constexpr (sizeof(T) <= 8) {
    if (detail::polledByHost(to)) {
      std::uint64_t bits = 0;
      std::memcpy(&bits, &value, sizeof(T));
      detail::storeShared(to, bits, sizeof(T));
      return;
    }
  }
  std::memcpy(__builtin_assume_aligned(to, sizeof(T)), &value, sizeof(T));
}

/// The block's dynamic shared memory; poisoned when the block starts.
template <class T>
T* sharedMemory() {
  return static_cast<T*>(detail::sharedMemory(alignof(T)));
}

}  // namespace gradclip::emulator
