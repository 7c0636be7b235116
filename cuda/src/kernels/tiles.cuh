// SPDX-License-Identifier: Apache-2.0
// What a warp works on: a tile.
#pragma once

#include "kernels/device_structs.hpp"
#include "kernels/vectors.cuh"

namespace gradclip {

__device__ __forceinline__ Row rowOfTile(const TileTable& tiles, std::uint32_t tile) {
  struct Halves {
    uint4 first, second;
  };
  const Row* row = tiles.rows + loadGlobal<std::uint32_t>(tiles.rowOfTile + tile);
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
