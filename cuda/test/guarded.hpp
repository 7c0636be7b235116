// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>

/// Memory between two pages that no access survives.
class Guarded {
 public:
  explicit Guarded(std::size_t bytes) : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))), bytes_(bytes) {
    inner_ = (bytes + page_ - 1) / page_ * page_ + page_;
    void* all = mmap(nullptr, inner_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) throw std::runtime_error("mmap");
    start_ = static_cast<std::uint8_t*>(all) + page_;
    protect(PROT_READ | PROT_WRITE);
  }

  ~Guarded() { munmap(start_ - page_, inner_ + 2 * page_); }

  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  /// The bytes that end `distance` before the upper page.
  std::uint8_t* atEnd(std::size_t distance = 0) { return start_ + inner_ - bytes_ - distance; }

  /// The bytes that start `distance` after the lower page.
  std::uint8_t* atStart(std::size_t distance = 0) { return start_ + distance; }

  void protect(int protection) {
    if (mprotect(start_, inner_, protection) != 0) throw std::runtime_error("mprotect");
  }

 private:
  std::size_t page_, bytes_, inner_ = 0;
  std::uint8_t* start_ = nullptr;
};
