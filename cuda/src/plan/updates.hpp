// SPDX-License-Identifier: Apache-2.0
// What updates of a plan's weights keep on the device: one allocation, made for the first of them.
#pragma once

#include "kernels/launches.hpp"
#include "plan/bound_pieces.hpp"
#include "plan/tile_tables.hpp"

namespace gradclip {

class UpdateMemory {
 public:
  UpdateMemory() = default;
  ~UpdateMemory();
  UpdateMemory(const UpdateMemory&) = delete;
  UpdateMemory& operator=(const UpdateMemory&) = delete;

  /// Allocates state that is all 0; complete on return. A piece of weights follows each of the gradients'.
  CudaStatus create(const Updated& updated, const BoundPieces& pieces, const Tables& tables, cudaStream_t stream);

  bool exists() const { return device_ != nullptr; }
  /// Whether an update can continue the state.
  bool fits(const UpdateNumbers& numbers) const {
    return exists() && form_ == numbers.form && masterWeights_ == ((numbers.flags & kMasterWeights) != 0);
  }
  const UpdateTable& table() const { return table_; }

  /// Device address of a tensor's state.
  std::uint64_t state(std::int32_t slot, std::int32_t tensor) const {
    const bool isMaster = slot == statesOf(static_cast<UpdateForm>(form_));
    return (isMaster ? table_.master : table_.slots[slot]) +
           pieces_[firstPiece_[static_cast<std::size_t>(tensor)]].state;
  }

 private:
  CudaStatus number(const Updated& updated, const BoundPieces& pieces);
  std::size_t layOut(const Tables& tables);
  CudaStatus fill(std::size_t bytes, cudaStream_t stream);

  std::int32_t form_ = 0;
  bool masterWeights_ = false;
  unsigned char* device_ = nullptr;
  UpdateTable table_{};
  std::uint64_t slotBytes_ = 0;
  HostArray<UpdatePiece> pieces_;  ///< and one more
  HostArray<std::uint32_t> firstPiece_;
  HostArray<TensorProgress> progress_;  ///< at the start
};

}  // namespace gradclip
