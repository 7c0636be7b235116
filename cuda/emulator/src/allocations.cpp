// SPDX-License-Identifier: Apache-2.0
#include "allocations.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "access.hpp"
#include "sanitizers.hpp"

namespace gradclip::emulator {

namespace {

constexpr std::size_t kRemembered = 4096;

bool before(const Allocation& allocation, std::uintptr_t address) { return allocation.base < address; }

}  // namespace

void Allocations::publish() {
  first_ = sorted_.data();
  count_ = sorted_.size();
  forgetWindows();
}

void Allocations::add(const Allocation& allocation) {
  sorted_.insert(std::lower_bound(sorted_.begin(), sorted_.end(), allocation.base, before), allocation);
  publish();
}

void Allocations::remove(std::uintptr_t base) {
  const auto at = std::lower_bound(sorted_.begin(), sorted_.end(), base, before);
  freed_.push_back(*at);
  if (freed_.size() > kRemembered) freed_.pop_front();
  sorted_.erase(at);
  publish();
}

GRADCLIP_UNTRACKED const Allocation* Allocations::find(std::uintptr_t address) const {
  const Allocation* low = first_;
  std::size_t count = count_;
  while (count > 1) {
    const std::size_t half = count / 2;
    if (low[half].base <= address) low += half;
    count -= half;
  }
  return count == 1 && address - low->base < low->bytes ? low : nullptr;
}

GRADCLIP_UNTRACKED void Allocations::describe(std::uintptr_t address, char* text, std::size_t bytes) const {
  for (auto at = freed_.rbegin(); at != freed_.rend(); ++at) {
    if (address - at->base < at->bytes) {
      std::snprintf(text, bytes, "it lies %zu bytes into %zu bytes at 0x%" PRIxPTR " that were freed",
                    static_cast<std::size_t>(address - at->base), at->bytes, at->base);
      return;
    }
  }
  const Allocation* nearest = nullptr;
  for (std::size_t i = 0; i < count_ && first_[i].base <= address; ++i) nearest = first_ + i;
  if (nearest == nullptr) {
    std::snprintf(text, bytes, "no allocation lies below it");
  } else {
    std::snprintf(text, bytes, "it lies %zu bytes after the start of %zu bytes at 0x%" PRIxPTR,
                  static_cast<std::size_t>(address - nearest->base), nearest->bytes, nearest->base);
  }
}

}  // namespace gradclip::emulator
