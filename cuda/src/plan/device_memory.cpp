// SPDX-License-Identifier: Apache-2.0
#include "plan/device_memory.hpp"

#include <cstdlib>
#include <cstring>

#include "plan/status.hpp"

namespace gradclip {
namespace {

/// Hands out aligned parts of one allocation; from base null it only counts.
class Layout {
 public:
  explicit Layout(const void* base) : base_(reinterpret_cast<std::uintptr_t>(base)) {}

  template <class T>
  T* take(std::size_t count) {
    const std::size_t at = used_;
    used_ += (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return reinterpret_cast<T*>(base_ + at);
  }

  Planes planes(unsigned count, std::size_t stride) { return {take<double>(count * stride), stride}; }

  std::size_t used() const { return used_; }

 private:
  static constexpr std::size_t kAlignment = 256;
  std::uintptr_t base_;
  std::size_t used_ = 0;
};

template <class T>
CudaStatus copyTable(const T* to, const HostArray<T>& from, std::size_t count, cudaStream_t stream) {
  if (count == 0) return {};
  return called(cudaMemcpyAsync(const_cast<T*>(to), from.data(), count * sizeof(T), cudaMemcpyHostToDevice, stream),
                "cudaMemcpyAsync");
}

}  // namespace

HistoryMemory::~HistoryMemory() {
  while (last_ != nullptr) {
    Node* const next = last_->next;
    cudaFree(last_->memory);
    std::free(last_);
    last_ = next;
  }
  cudaGetLastError();
}

CudaStatus HistoryMemory::create(std::size_t bytes, cudaStream_t stream, std::int64_t* address) {
  auto* const node = static_cast<Node*>(std::malloc(sizeof(Node)));
  if (node == nullptr) return outOfMemory();
  void* memory = nullptr;
  CudaStatus status = called(cudaMalloc(&memory, bytes), "cudaMalloc");
  if (!status.ok()) {
    std::free(node);
    return status;
  }
  *node = {memory, last_};
  last_ = node;
  status = called(cudaMemsetAsync(memory, 0, bytes, stream), "cudaMemsetAsync");
  if (status.ok()) status = called(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  *address = addressOf(memory);
  return status;
}

PlanMemory::~PlanMemory() {
  if (device_ != nullptr) cudaFree(device_);
  if (pinned_ != nullptr) cudaFreeHost(pinned_);
  cudaGetLastError();
}

void PlanMemory::layOut(const Tables& tables, std::int32_t pieceCount) {
  const unsigned planes = tables.planes();
  const std::size_t groups = (std::size_t{tables.segments} + kRun - 1) / kRun;
  Layout layout(device_);
  layout.take<Strided>(tables.stridedCount);
  pieces_ = layout.take<DevicePiece>(static_cast<std::size_t>(pieceCount));
  fold.segmentTypes = layout.take<std::uint8_t>(tables.segments);
  fold.segmentElements = layout.take<double>(tables.segments);
  pieceBytes_ = layout.used();
  partOfSegment = layout.take<std::uint32_t>(tables.mostParts == 0 ? 0 : tables.gradients);
  parts = layout.take<Part>(tables.mostParts);
  stageBytes_ = layout.used();
  tiles.pieces = pieces_;
  tiles.pieceOfTile = layout.take<std::uint32_t>(tables.tiles);
  fold.runs = layout.take<Run>(tables.runCount);
  fold.deep = layout.take<Deep>(tables.deepCount);
  fold.segmentTile = layout.take<std::uint32_t>(std::size_t{tables.segments} + 1);
  fold.segmentRun = layout.take<std::uint32_t>(std::size_t{tables.segments} + 1);
  fold.planes = planes;
  fold.partials = layout.planes(planes, tables.tiles);
  fold.sums = layout.planes(planes, tables.segments);
  fold.runSums = layout.planes(planes, tables.runCount);
  fold.scratch = layout.planes(planes, tables.runCount);
  fold.groupSums = layout.planes(planes, groups);
  fold.groupScratch = layout.planes(planes, groups);
  fold.maxima = layout.take<double>(tables.segments);
  fold.coefficients = layout.take<double>(tables.segments);
  control = layout.take<Control>(1);
  decision = layout.take<Decision>(1);
  finding = layout.take<Finding>(1);
  result = layout.take<Slot>(1);
  captures = layout.take<Numbers>(kCaptures);
  deviceBytes_ = layout.used();
}

CudaStatus PlanMemory::create(const Tables& tables, std::int32_t pieceCount, cudaStream_t stream) {
  layOut(tables, pieceCount);
  if (auto s = called(cudaMalloc(reinterpret_cast<void**>(&device_), deviceBytes_), "cudaMalloc"); !s.ok()) return s;
  layOut(tables, pieceCount);
  if (auto s = createRing(); !s.ok()) return s;
  if (auto s = called(cudaMemsetAsync(device_, 0, deviceBytes_, stream), "cudaMemsetAsync"); !s.ok()) return s;
  if (auto s = copyTables(tables, stream); !s.ok()) return s;
  return called(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

CudaStatus PlanMemory::createRing() {
  constexpr std::size_t kRingBytes = (kSlots + 1 + kCaptures) * sizeof(Slot);
  const std::size_t bytes = kRingBytes + kStages * stageBytes_;
  const unsigned flags = cudaHostAllocMapped | cudaHostAllocPortable;
  if (auto s = called(cudaHostAlloc(reinterpret_cast<void**>(&pinned_), bytes, flags), "cudaHostAlloc"); !s.ok())
    return s;
  std::memset(pinned_, 0, bytes);
  ring_ = reinterpret_cast<Slot*>(pinned_);
  stages_ = pinned_ + kRingBytes;
  return called(cudaHostGetDevicePointer(reinterpret_cast<void**>(&deviceRing_), ring_, 0), "cudaHostGetDevicePointer");
}

CudaStatus PlanMemory::copyTables(const Tables& tables, cudaStream_t stream) const {
  if (auto s = copyTable(tiles.pieceOfTile, tables.pieceOfTile, tables.tiles, stream); !s.ok()) return s;
  if (auto s = copyTable(fold.runs, tables.runs, tables.runCount, stream); !s.ok()) return s;
  if (auto s = copyTable(fold.deep, tables.deep, tables.deepCount, stream); !s.ok()) return s;
  if (auto s = copyTable(fold.segmentRun, tables.segmentRun, std::size_t{tables.segments} + 1, stream); !s.ok())
    return s;
  return copyTable(fold.segmentTile, tables.segmentTile, std::size_t{tables.segments} + 1, stream);
}

void PlanMemory::writeStage(unsigned number, const BoundPieces& bound, const Tables& tables,
                            const HostArray<Part>& ruleParts, unsigned count) {
  std::memset(stage(number), 0, pieceBytes_);
  DevicePiece* const to = staged(number, pieces_);
  auto* const afterStrided = reinterpret_cast<Strided*>(to);
  for (std::uint32_t i = 0; i < tables.stridedCount; ++i) afterStrided[-1 - static_cast<int>(i)] = tables.strided[i];
  std::uint8_t* const types = staged(number, fold.segmentTypes);
  double* const elements = staged(number, fold.segmentElements);
  for (std::int32_t i = 0; i < bound.size(); ++i) {
    const Piece& piece = bound[i];
    const auto segment = static_cast<std::uint32_t>(piece.segment);
    to[i].address = static_cast<std::uint64_t>(piece.address);
    to[i].bytes = static_cast<std::uint64_t>(piece.count * elementBytes(piece.dtype));
    to[i].firstTile = static_cast<std::uint32_t>(piece.firstTile);
    to[i].segment = piece.segment;
    to[i].strided = tables.stridedOfPiece(i) & kMostStrided;
    const bool vectors = piece.address % 16 == 0 && to[i].strided == 0;
    to[i].wholeTiles = vectors ? static_cast<std::uint32_t>(to[i].bytes / kTileBytes) : 0;
    to[i].dtype = static_cast<std::uint16_t>(ordinal(piece.dtype));
    to[i].onlyTile = tables.tilesOf(segment) == 1 ? 1 : 0;
    elements[segment] += static_cast<double>(piece.count);
    if (piece.count > 0) {
      types[segment] = static_cast<std::uint8_t>(types[segment] |
                                                 (piece.dtype == DType::Float64 ? kHasDouble : kHasFloat));
    }
  }
  for (unsigned i = 0; i < count; ++i) {
    staged(number, parts)[i] = ruleParts[i];
    std::uint32_t* const ofSegment = staged(number, partOfSegment);
    for (std::int32_t k = ruleParts[i].firstSegment; k < ruleParts[i].lastSegment; ++k) ofSegment[k] = i;
  }
}

CudaStatus PlanMemory::upload(unsigned number, unsigned partCount, cudaStream_t stream) const {
  const std::size_t bytes =
      partCount == 0 ? pieceBytes_
                     : static_cast<std::size_t>(reinterpret_cast<const unsigned char*>(parts + partCount) - device_);
  if (bytes == 0) return {};
  return called(cudaMemcpyAsync(device_, stage(number), bytes, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
}

}  // namespace gradclip
