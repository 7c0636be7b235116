// SPDX-License-Identifier: Apache-2.0
#include "address_space.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <iterator>
#include <new>

namespace gradclip::emulator {

std::size_t pageBytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

std::size_t toPages(std::size_t bytes) { return (bytes + pageBytes() - 1) / pageBytes() * pageBytes(); }

AddressSpace::AddressSpace(std::size_t bytes) : bytes_(toPages(bytes)) {
  void* all = mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) throw std::bad_alloc();
  start_ = next_ = reinterpret_cast<std::uintptr_t>(all);
}

AddressSpace::~AddressSpace() { munmap(reinterpret_cast<void*>(start_), bytes_); }

std::uintptr_t AddressSpace::take(std::size_t bytes) {
  const std::size_t needed = toPages(bytes) + 2 * pageBytes();
  if (needed < bytes || needed > bytes_) return 0;
  for (int round = 0; round < 2; ++round) {
    std::uintptr_t candidate = round == 0 ? next_ : start_;
    auto after = taken_.upper_bound(candidate);
    if (after != taken_.begin()) {
      const std::uintptr_t end = std::prev(after)->second;
      if (end > candidate) candidate = end;
    }
    while (after != taken_.end() && after->first - candidate < needed) {
      candidate = after->second;
      ++after;
    }
    if (start_ + bytes_ - candidate < needed) continue;
    taken_.emplace(candidate, candidate + needed);
    next_ = candidate + needed;
    return candidate + pageBytes();
  }
  return 0;
}

void AddressSpace::giveBack(std::uintptr_t address) { taken_.erase(address - pageBytes()); }

}  // namespace gradclip::emulator
