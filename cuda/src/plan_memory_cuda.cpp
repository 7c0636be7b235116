// SPDX-License-Identifier: Apache-2.0
#include "plan_memory_cuda.hpp"

#include <cstring>

#include "calls_cuda.hpp"

namespace gradclip {
namespace {

/// Hands out aligned parts of one allocation; from base null it only counts.
class Parts {
 public:
  explicit Parts(const void* base) : base_(reinterpret_cast<std::uintptr_t>(base)) {}

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
CudaStatus copyTable(const T* to, const HostArray<T>& from, std::size_t count) {
  if (count == 0) return {};
  return called(cudaMemcpyAsync(const_cast<T*>(to), from.data(), count * sizeof(T), cudaMemcpyHostToDevice, nullptr),
                "cudaMemcpyAsync");
}

}  // namespace

PlanMemory::~PlanMemory() {
  if (device_ != nullptr) cudaFree(device_);
  if (pinned_ != nullptr) cudaFreeHost(pinned_);
  cudaGetLastError();
}

void PlanMemory::layOut(const Tables& tables, std::int32_t rows) {
  const unsigned planes = tables.planes();
  const std::size_t groups = (std::size_t{tables.segments} + kRun - 1) / kRun;
  Parts parts(device_);
  rows_ = parts.take<Row>(static_cast<std::size_t>(rows));
  fold.segmentTypes = parts.take<std::uint8_t>(tables.segments);
  uploadBytes_ = parts.used();
  items.rows = rows_;
  items.rowOfTile = parts.take<std::uint32_t>(tables.tiles);
  items.firstTile = tables.bundles ? parts.take<std::uint32_t>(std::size_t{tables.items} + 1) : nullptr;
  fold.runs = parts.take<Run>(tables.runCount);
  fold.deep = parts.take<Deep>(tables.deepCount);
  fold.segmentTile = parts.take<std::uint32_t>(std::size_t{tables.segments} + 1);
  fold.planes = planes;
  fold.partials = parts.planes(planes, tables.tiles);
  fold.sums = parts.planes(planes, tables.segments);
  fold.runSums = parts.planes(planes, tables.runCount);
  fold.scratch = parts.planes(planes, tables.runCount);
  fold.groupSums = parts.planes(planes, groups);
  fold.groupScratch = parts.planes(planes, groups);
  fold.groupDone = parts.take<std::uint32_t>(groups);
  fold.maxima = parts.take<double>(tables.segments);
  fold.coefficients = parts.take<double>(tables.segments);
  control = parts.take<Control>(1);
  decision = parts.take<Decision>(1);
  captures = parts.take<Parameters>(kCaptures);
  deviceBytes_ = parts.used();
}

CudaStatus PlanMemory::create(const Tables& tables, std::int32_t rows) {
  layOut(tables, rows);
  if (auto s = called(cudaMalloc(reinterpret_cast<void**>(&device_), deviceBytes_), "cudaMalloc"); !s.ok()) return s;
  layOut(tables, rows);
  if (auto s = createRing(); !s.ok()) return s;
  if (auto s = called(cudaMemsetAsync(device_, 0, deviceBytes_, nullptr), "cudaMemsetAsync"); !s.ok()) return s;
  if (auto s = copyTables(tables); !s.ok()) return s;
  return called(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
}

CudaStatus PlanMemory::createRing() {
  constexpr std::size_t kRingBytes = (kSlots + 1 + kCaptures) * sizeof(Slot);
  const std::size_t bytes = kRingBytes + kStages * uploadBytes_;
  const unsigned flags = cudaHostAllocMapped | cudaHostAllocPortable;
  if (auto s = called(cudaHostAlloc(reinterpret_cast<void**>(&pinned_), bytes, flags), "cudaHostAlloc"); !s.ok()) return s;
  std::memset(pinned_, 0, bytes);
  ring_ = reinterpret_cast<Slot*>(pinned_);
  stages_ = pinned_ + kRingBytes;
  return called(cudaHostGetDevicePointer(reinterpret_cast<void**>(&deviceRing_), ring_, 0), "cudaHostGetDevicePointer");
}

CudaStatus PlanMemory::copyTables(const Tables& tables) const {
  if (auto s = copyTable(items.rowOfTile, tables.rowOfTile, tables.tiles); !s.ok()) return s;
  if (items.firstTile != nullptr) {
    if (auto s = copyTable(items.firstTile, tables.itemTile, std::size_t{tables.items} + 1); !s.ok()) return s;
  }
  if (auto s = copyTable(fold.runs, tables.runs, tables.runCount); !s.ok()) return s;
  if (auto s = copyTable(fold.deep, tables.deep, tables.deepCount); !s.ok()) return s;
  return copyTable(fold.segmentTile, tables.segmentTile, std::size_t{tables.segments} + 1);
}

void PlanMemory::writeStage(unsigned number, const Rows& rows, const Tables& tables) {
  std::memset(stage(number), 0, uploadBytes_);
  auto* const row = reinterpret_cast<Row*>(stage(number));
  unsigned char* const types = stage(number) + (reinterpret_cast<const unsigned char*>(fold.segmentTypes) - device_);
  for (std::int32_t i = 0; i < rows.size(); ++i) {
    const Piece& piece = rows[i];
    const auto segment = static_cast<std::uint32_t>(piece.segment);
    row[i].address = static_cast<std::uint64_t>(piece.address);
    row[i].bytes = static_cast<std::uint64_t>(piece.count * elementBytes(piece.dtype));
    row[i].firstTile = static_cast<std::uint32_t>(piece.firstTile);
    row[i].segment = piece.segment;
    row[i].dtype = ordinal(piece.dtype);
    row[i].onlyTile = tables.tilesOf(segment) == 1 ? 1 : 0;
    if (piece.count > 0) {
      types[segment] = static_cast<unsigned char>(types[segment] |
                                                  (piece.dtype == DType::Float64 ? kHasDouble : kHasFloat));
    }
  }
}

CudaStatus PlanMemory::upload(unsigned number, cudaStream_t stream) const {
  if (uploadBytes_ == 0) return {};
  return called(cudaMemcpyAsync(device_, stage(number), uploadBytes_, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
}

}  // namespace gradclip
