// SPDX-License-Identifier: Apache-2.0
// What a warp works on: a tile, or a bundle of short tiles with four lanes each.
#pragma once

#include "kernels/device_structs.hpp"
#include "kernels/vectors.cuh"

namespace gradclip {

/// Lanes that hold one short tile; thread t of the tile is lane t % 4's vector t / 4.
constexpr int kShortLanes = static_cast<int>(kWarp / kBundle);
static_assert(kThreads * 16 == kShortBytes, "a short tile is one stripe");

/// Rounds in which four lanes load a short tile.
constexpr int kShortRounds = kThreads / kShortLanes / kInFlight;

constexpr int kTile = static_cast<int>(kTileBytes);
constexpr int kStripe = kTile / kStripes;

struct Item {
  std::uint32_t firstTile, tiles;
};

__device__ __forceinline__ Item itemAt(const Items& items, std::uint32_t i) {
  if (items.firstTile == nullptr) return {i, 1};
  const auto first = loadGlobal<std::uint32_t>(items.firstTile + i);
  return {first, loadGlobal<std::uint32_t>(items.firstTile + i + 1) - first};
}

__device__ __forceinline__ Row rowOfTile(const Items& items, std::uint32_t tile) {
  struct Halves {
    uint4 first, second;
  };
  const Row* row = items.rows + loadGlobal<std::uint32_t>(items.rowOfTile + tile);
  return bitCast<Row>(Halves{loadGlobal<uint4>(row), loadGlobal<uint4>(reinterpret_cast<const uint4*>(row) + 1)});
}

/// The part of a row that one tile covers.
struct Tile {
  Byte* x;
  int bytes;  ///< 0 where the tensor is absent
  Access access;

  __device__ __forceinline__ bool wholeAndAligned() const { return bytes == kTile && access == Access::Whole; }
};

__device__ __forceinline__ Tile tileOf(const Row& row, std::uint32_t tile) {
  const std::uint64_t before = static_cast<std::uint64_t>(tile - row.firstTile) * kTileBytes;
  if (before >= row.bytes) return {nullptr, 0, Access::Whole};
  const std::uint64_t left = row.bytes - before;
  const std::uint64_t address = row.address + before;
  return {reinterpret_cast<Byte*>(static_cast<std::uintptr_t>(address)),
          static_cast<int>(left < kTileBytes ? left : kTileBytes), accessOf(address)};
}

/// The tile of a bundle that a lane helps with, if there is one and it lies within [first, last).
struct Member {
  bool active;
  std::uint32_t number;
  Row row;
  Tile tile;
};

__device__ __forceinline__ Member memberOf(const Items& items, const Item& item, std::uint32_t first,
                                           std::uint32_t last) {
  const std::uint32_t place = laneIndex() / static_cast<unsigned>(kShortLanes);
  const std::uint32_t number = item.firstTile + place;
  if (place >= item.tiles || number < first || number >= last) {
    return {false, number, Row{}, {nullptr, 0, Access::Whole}};
  }
  const Row row = rowOfTile(items, number);
  return {true, number, row, tileOf(row, number)};
}

/// A lane's place among the four that share a short tile.
__device__ __forceinline__ int shortLane() { return static_cast<int>(laneIndex()) % kShortLanes; }

/// work.run<T>() for the element type; work.unknown() for none of them.
template <class Work>
__device__ __forceinline__ auto dispatch(std::int32_t dtype, const Work& work) {
  switch (static_cast<DType>(dtype)) {
    case DType::Float64: return work.template run<double>();
    case DType::Float32: return work.template run<float>();
    case DType::Float16: return work.template run<Float16>();
    case DType::BFloat16: return work.template run<BFloat16>();
    default: return work.unknown();
  }
}

}  // namespace gradclip
