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
    bound_[i].inner = table[i].inner;
    bound_[i].stride = table[i].stride;
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
    if (now.inner != before.inner || now.stride != before.stride)
      return refused(i, "has other units than when it was bound");
    const std::int32_t units = unitsFrom(table, i);
    if (units == 0) return refused(i, "has units that do not lie as those of one tensor");
    ranges_[present_++] = {now.address, now.address + units * now.count * bytes, i, same ? 0 : 1};
    i += units - 1;
  }
  return {};
}

/// The pieces from one on that are the units of one tensor, which lie between each other; 0 where others follow than
/// these.
std::int32_t BoundPieces::unitsFrom(const Piece* table, std::int32_t first) const {
  const Piece& one = table[first];
  if (!one.isStrided()) return 1;
  const std::int64_t units = one.inner > 0 ? one.stride / one.inner : 0;
  if (units * one.inner != one.stride || one.count % one.inner != 0 || units > size() - first) return 0;
  const std::int64_t bytes = elementBytes(one.dtype);
  for (std::int64_t unit = 1; unit < units; ++unit) {
    const Piece& its = table[first + unit];
    const bool alike = its.dtype == one.dtype && its.count == one.count && its.inner == one.inner &&
                       its.stride == one.stride && its.address == one.address + unit * one.inner * bytes;
    if (!alike) return 0;
  }
  return static_cast<std::int32_t>(units);
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
