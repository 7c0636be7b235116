// SPDX-License-Identifier: Apache-2.0
// The pieces that a plan is bound to, checked.
#pragma once

#include "gradclip/cuda.hpp"
#include "plan/host_array.hpp"

namespace gradclip {

inline CudaStatus refused(std::int32_t piece, const char* why) {
  CudaStatus status;
  status.piece = piece;
  status.why = why;
  return status;
}

/// Of the host.
inline CudaStatus outOfMemory() {
  CudaStatus status;
  status.code = 2;  // cudaErrorMemoryAllocation
  status.call = "calloc";
  return status;
}

class BoundPieces {
 public:
  /// Takes the table; types and lengths are what later ones must have.
  CudaStatus bind(int device, const Piece* table, std::int32_t count);

  /// Takes another table, or nothing where a piece can't be bound; `*changed` where it is not the same.
  CudaStatus rebind(const Piece* table, bool* changed);

  std::int32_t size() const { return static_cast<std::int32_t>(bound_.size()); }
  const Piece& operator[](std::int32_t i) const { return bound_[static_cast<std::size_t>(i)]; }

  /// Elements of a piece, present or not.
  std::int64_t length(std::int32_t i) const { return lengths_[static_cast<std::size_t>(i)]; }

 private:
  /// A piece's memory.
  struct Range {
    std::int64_t first, end;
    std::int32_t piece;
    std::int32_t changed;
  };

  CudaStatus collect(const Piece* table, bool* changed);
  std::int32_t unitsFrom(const Piece* table, std::int32_t first) const;
  CudaStatus checkRanges();
  CudaStatus checkMemory(const Range& range);

  int device_ = 0;
  HostArray<Piece> bound_;
  HostArray<std::int64_t> lengths_;
  HostArray<Range> ranges_;
  std::size_t present_ = 0;
  std::int64_t knownFirst_ = 0, knownEnd_ = 0;  ///< memory of the device, found in this check
};

}  // namespace gradclip
