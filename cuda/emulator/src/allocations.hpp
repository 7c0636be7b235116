// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "sanitizers.hpp"

namespace gradclip::emulator {

/// Of every allocation.
constexpr std::size_t kAlignment = 256;

inline std::uintptr_t addressOf(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

constexpr int kHostMemory = -1;

/// A live range of device memory, or of pinned host memory, which every device sees at the host's address.
struct Allocation {
  std::uintptr_t base;
  std::size_t bytes;
  std::intptr_t toHost;   ///< what to add to an address to get to its bytes
  int device;             ///< or kHostMemory
  std::size_t counted;    ///< bytes of the device's memory that it uses up
  std::uintptr_t place;   ///< what the address space gave, 0 where that belongs to an earlier allocation

  GRADCLIP_UNTRACKED std::uintptr_t end() const { return base + bytes; }
  GRADCLIP_UNTRACKED char* host(std::uintptr_t address) const {
    return reinterpret_cast<char*>(address + static_cast<std::uintptr_t>(toHost));
  }
};

/// All live allocations by address. Changes need both locks of the world; kernel threads look up without any, since
/// whoever runs them holds one.
class Allocations {
 public:
  void add(const Allocation& allocation);
  void remove(std::uintptr_t base);

  /// The allocation that holds the address, or null.
  const Allocation* find(std::uintptr_t address) const;

  /// Says of an address that no allocation holds what is near it.
  void describe(std::uintptr_t address, char* text, std::size_t bytes) const;

  /// Calls `action(host, bytes, allocation)` for each piece of a range that may run over adjacent allocations;
  /// false where it leaves them.
  template <class Action>
  bool pieces(std::uintptr_t address, std::size_t bytes, Action action) const {
    while (bytes != 0) {
      const Allocation* allocation = find(address);
      if (allocation == nullptr) return false;
      std::size_t here = allocation->end() - address;
      if (here > bytes) here = bytes;
      action(allocation->host(address), here, *allocation);
      address += here;
      bytes -= here;
    }
    return true;
  }

 private:
  void publish();

  std::vector<Allocation> sorted_;
  const Allocation* first_ = nullptr;  ///< what kernel threads read
  std::size_t count_ = 0;
  std::deque<Allocation> freed_;       ///< the last ones, for messages
};

}  // namespace gradclip::emulator
