// SPDX-License-Identifier: Apache-2.0
#include "plan/bound_pieces.hpp"

#include <algorithm>

#include "plan/status.hpp"

namespace gradclip {

CudaStatus BoundPieces::bind(int device, const Piece* table, std::int32_t count) {
  device_ = device;
  const auto size = static_cast<std::size_t>(count);
  if (!bound_.allocate(size) || !lengths_.allocate(size) || !ranges_.allocate(size)) return outOfMemory();
  for (std::size_t i = 0; i < size; ++i) {
    bound_[i].dtype = table[i].dtype;
    lengths_[i] = table[i].count;
  }
  bool changed;
  return rebind(table, &changed);
}

CudaStatus BoundPieces::rebind(const Piece* table, bool* changed) {
  if (auto s = collect(table, changed); !s.ok() || !*changed) return s;
  if (auto s = checkRanges(); !s.ok()) return s;
  std::copy(table, table + bound_.size(), bound_.begin());
  for (Piece& piece : bound_) {
    if (piece.address == 0) piece.count = 0;
  }
  return {};
}

/// The ranges of the pieces that are present; one at address 0 is absent, and keeps its length for when it comes back.
CudaStatus BoundPieces::collect(const Piece* table, bool* changed) {
  *changed = false;
  present_ = 0;
  for (std::int32_t i = 0; i < size(); ++i) {
    const Piece& now = table[i];
    const Piece& before = bound_[static_cast<std::size_t>(i)];
    const std::int64_t count = now.address == 0 ? 0 : now.count;
    const bool same = now.address == before.address && count == before.count;
    if (now.dtype != before.dtype) return refused(i, "has another element type than when it was bound");
    *changed = *changed || !same;
    if (count == 0) continue;
    if (now.count != lengths_[static_cast<std::size_t>(i)])
      return refused(i, "has another length than when it was bound");
    const std::int64_t bytes = elementBytes(now.dtype);
    if (now.address % bytes != 0) return refused(i, "has an address that is not a multiple of its element's size");
    ranges_[present_++] = {now.address, now.address + now.count * bytes, i, same ? 0 : 1};
  }
  return {};
}

/// In ascending order, so that each allocation is looked up once and what overlaps is adjacent.
CudaStatus BoundPieces::checkRanges() {
  Range* const ranges = ranges_.data();
  std::sort(ranges, ranges + present_, [](const Range& a, const Range& b) { return a.first < b.first; });
  knownFirst_ = knownEnd_ = 0;
  for (std::size_t i = 0; i < present_; ++i) {
    if (i > 0 && ranges[i].first < ranges[i - 1].end) {
      return refused(std::max(ranges[i].piece, ranges[i - 1].piece),
                     "shares memory with another gradient; each is bound once (a tied weight has one gradient)");
    }
    if (ranges[i].changed == 0) continue;
    if (auto s = checkMemory(ranges[i]); !s.ok()) return s;
  }
  return {};
}

/// Walks the allocations that a range spans: a framework's expandable segments lie side by side.
CudaStatus BoundPieces::checkMemory(const Range& range) {
  if (range.first < knownFirst_ || range.first >= knownEnd_) knownEnd_ = range.first;
  while (knownEnd_ < range.end) {
    int device = -1;
    if (auto s = cudaDeviceOf(knownEnd_, &device); !s.ok()) return s;
    if (device < 0) {
      return refused(range.piece,
                     knownEnd_ == range.first ? "is not at device memory" : "reaches beyond its device memory");
    }
    if (device != device_) return refused(range.piece, "is on another device than the clipper");
    std::int64_t base = 0, bytes = 0;
    if (!memoryRange(knownEnd_, &base, &bytes) || base + bytes <= knownEnd_) {
      return refused(range.piece,
                     knownEnd_ == range.first ? "is not at device memory" : "reaches beyond its device memory");
    }
    if (knownEnd_ == range.first) knownFirst_ = base;
    knownEnd_ = base + bytes;
  }
  return {};
}

}  // namespace gradclip
