// SPDX-License-Identifier: Apache-2.0
// A plan's memory: one device allocation, one pinned one.
#pragma once

#include "kernels/launches.hpp"
#include "plan/bound_pieces.hpp"
#include "plan/tile_tables.hpp"

namespace gradclip {

/// Uploads that may be on their way while the host writes the next one.
constexpr unsigned kStages = 4;

/// The histories of rules, which lie on the device until the plan is destroyed.
class HistoryMemory {
 public:
  HistoryMemory() = default;
  ~HistoryMemory();
  HistoryMemory(const HistoryMemory&) = delete;
  HistoryMemory& operator=(const HistoryMemory&) = delete;

  /// Zeroed; complete on return.
  CudaStatus create(std::size_t bytes, cudaStream_t stream, std::int64_t* address);

 private:
  struct Node {
    void* memory;
    Node* next;
  };
  Node* last_ = nullptr;
};

class PlanMemory {
 public:
  PlanMemory() = default;
  ~PlanMemory();
  PlanMemory(const PlanMemory&) = delete;
  PlanMemory& operator=(const PlanMemory&) = delete;

  /// Allocates and uploads what never changes; complete on return.
  CudaStatus create(const Tables& tables, std::int32_t pieceCount, cudaStream_t stream);

  /// Writes the pieces, their segments' types and elements, and the parts of a rule to a stage.
  void writeStage(unsigned stage, const BoundPieces& bound, const Tables& tables, const HostArray<Part>& parts,
                  unsigned count);

  /// Enqueues one copy, which leaves out parts where there are none.
  CudaStatus upload(unsigned stage, unsigned partCount, cudaStream_t stream) const;

  /// The slot of a ticket, as the host and as the device sees it. Beyond the ring there is one for norms on demand, and
  /// one for each captured clip.
  Slot* hostSlot(std::int64_t ticket) const { return ring_ + slotOf(ticket); }
  Slot* deviceSlot(std::int64_t ticket) const { return deviceRing_ + slotOf(ticket); }
  static constexpr std::int64_t kNormTicket = -1;

  /// Where a captured clip's results go.
  static constexpr std::int64_t captureTicket(unsigned capture) { return -2 - static_cast<std::int64_t>(capture); }

  TileTable tiles{};
  FoldTable fold{};
  Control* control = nullptr;
  Decision* decision = nullptr;
  Finding* finding = nullptr;
  Slot* result = nullptr;  ///< what a decision leaves for the kernel that applies it, and passes it on to the host
  const Part* parts = nullptr;
  const std::uint32_t* partOfSegment = nullptr;
  Numbers* captures = nullptr;  ///< kCaptures of them

 private:
  static std::size_t slotOf(std::int64_t ticket) {
    return ticket < 0 ? kSlots + static_cast<std::size_t>(-1 - ticket) : static_cast<std::size_t>(ticket) % kSlots;
  }
  void layOut(const Tables& tables, std::int32_t pieceCount);
  CudaStatus copyTables(const Tables& tables, cudaStream_t stream) const;
  CudaStatus createRing();
  unsigned char* stage(unsigned number) const { return stages_ + number * stageBytes_; }
  template <class T>
  T* staged(unsigned number, const T* onDevice) const {
    return reinterpret_cast<T*>(stage(number) + (reinterpret_cast<const unsigned char*>(onDevice) - device_));
  }

  unsigned char* device_ = nullptr;
  unsigned char* pinned_ = nullptr;
  unsigned char* stages_ = nullptr;
  Slot* ring_ = nullptr;
  Slot* deviceRing_ = nullptr;
  DevicePiece* pieces_ = nullptr;
  std::size_t pieceBytes_ = 0;  ///< of an upload without parts
  std::size_t stageBytes_ = 0;  ///< with as many as there can be
  std::size_t deviceBytes_ = 0;
};

}  // namespace gradclip
