// SPDX-License-Identifier: Apache-2.0
// What a warp works on: a tile.
#pragma once

#include "kernels/device_structs.hpp"
#include "kernels/tuning.cuh"
#include "kernels/vectors.cuh"

namespace gradclip {

/// Whether a tile is whole and aligned.
__device__ __forceinline__ bool isWhole(const DevicePiece& piece, std::uint32_t tile) {
  return tile - piece.firstTile < piece.wholeTiles;
}

__device__ __forceinline__ std::uint64_t bytesBefore(const DevicePiece& piece, std::uint32_t tile) {
  return static_cast<std::uint64_t>(tile - piece.firstTile) * kTileBytes;
}

/// Where a lane's first vector of a whole tile is.
__device__ __forceinline__ Byte* laneOf(const DevicePiece& piece, std::uint32_t tile) {
  return bytesAt(piece.address + bytesBefore(piece, tile)) + laneIndex() * 16;
}

/// The part of a piece that any tile covers.
struct Tile {
  Byte* x;
  int bytes;  ///< 0 where the tensor is absent
  Access access;
};

/// Of a piece whose elements lie side by side.
__device__ __forceinline__ Tile tileOf(const DevicePiece& piece, std::uint32_t tile) {
  const std::uint64_t before = bytesBefore(piece, tile);
  if (before >= piece.bytes) return {nullptr, 0, Access::Whole};
  const std::uint64_t left = piece.bytes - before, bytes = left < kTileBytes ? left : kTileBytes;
  return {bytesAt(piece.address + before), static_cast<int>(bytes), accessOf(piece.address)};
}

/// A lane's vectors of any tile where it lies.
struct Loaded {
  Tile tile;

  __device__ __forceinline__ int bytes() const { return tile.bytes; }

  /// A few, from a byte of the tile on.
  __device__ __forceinline__ Vectors<kFew> few(int first) const {
    const int from = first + static_cast<int>(laneIndex()) * 16;
    Vectors<kFew> v;
    load(v, tile.x + from, tile.bytes - from, tile.access);
    return v;
  }

  /// Stores a vector that begins `from` bytes after the tile's first one.
  __device__ __forceinline__ void put(int from, const Vector& v) const {
    store(tile.x + from, tile.bytes - from, v, tile.access);
  }
};

/// A lane's vectors of a tile whose elements do not lie side by side: each element is an access of its own. Units are
/// tiles of neighbouring warps, so what one leaves of a sector the next ones find in the caches.
struct Gathered {
  const Strided* strided;
  DevicePiece piece;
  std::uint32_t tile;

  __device__ __forceinline__ int bytes() const {
    const std::uint64_t before = bytesBefore(piece, tile), left = piece.bytes - before;
    return before >= piece.bytes ? 0 : static_cast<int>(left < kTileBytes ? left : kTileBytes);
  }

  __device__ __forceinline__ Vectors<kFew> few(int first) const {
    Vectors<kFew> v;
    for (int k = 0; k < kFew; ++k) {
      v.at[k] = {};
      forEachPart(first + static_cast<int>(laneIndex()) * 16 + k * kStripe, [&](const Byte* p, int at) {
        const std::uint32_t bits = hasHalves() ? static_cast<std::uint32_t>(loadGlobal<std::uint16_t>(p)) << at % 4 * 8
                                               : loadGlobal<std::uint32_t>(p);
        GRADCLIP_UNROLL
        for (int w = 0; w < 4; ++w) v.at[k].word[w] |= w == at / 4 ? bits : 0;
      });
    }
    return v;
  }

  __device__ __forceinline__ void put(int from, const Vector& v) const {
    forEachPart(from, [&](Byte* p, int at) {
      std::uint32_t word = 0;
      GRADCLIP_UNROLL
      for (int w = 0; w < 4; ++w) word |= w == at / 4 ? v.word[w] : 0;
      if (hasHalves()) storeGlobal(p, static_cast<std::uint16_t>(word >> at % 4 * 8));
      else storeGlobal(p, word);
    });
  }

 private:
  __device__ __forceinline__ bool hasHalves() const {
    return static_cast<DType>(piece.dtype) == DType::Float16 || static_cast<DType>(piece.dtype) == DType::BFloat16;
  }

  /// Calls move(where it lies, its byte of the vector) for each element, or half of a float64, of the vector that begins
  /// `from` bytes after the tile's first.
  template <class Move>
  __device__ __forceinline__ void forEachPart(int from, const Move& move) const {
    const Strided how = loadStruct(strided);
    const int left = bytes() - from, mine = left < 16 ? left : 16, part = hasHalves() ? 2 : 4;
    const std::uint64_t first = bytesBefore(piece, tile) + static_cast<std::uint64_t>(from);
    Byte* p = bytesAt(piece.address) + first / how.inner * how.stride + first % how.inner;
    std::uint64_t inBlock = how.inner - first % how.inner;
    for (int at = 0; at < mine; at += part, p += part) {
      move(p, at);
      inBlock -= static_cast<std::uint64_t>(part);
      if (inBlock != 0) continue;
      inBlock = how.inner;
      p += how.stride - how.inner;
    }
  }
};

__device__ __forceinline__ Gathered gatheredOf(const TileTable& tiles, const DevicePiece& piece, std::uint32_t tile) {
  return {reinterpret_cast<const Strided*>(tiles.pieces) - piece.strided, piece, tile};
}

/// Calls work(tile, read(number of its piece)) for each of the warp's tiles, of `count` from 0 on; numberOf(i) is i's
/// number in the plan. The piece of the next one is looked up before the work on one: that table is read once, so it
/// comes from memory.
template <class NumberOf, class Read, class Work>
__device__ __forceinline__ void forEachTileRead(const TileTable& tiles, std::uint32_t count, const NumberOf& numberOf,
                                                const Read& read, const Work& work) {
  const auto pieceOf = [&](std::uint32_t i) { return loadGlobal<std::uint32_t>(tiles.pieceOfTile + numberOf(i)); };
  std::uint32_t step = warpCount(), i = warpIndex();
  if constexpr (!kTuning.sideBySide) {
    const std::uint32_t each = (count + step - 1) / step;
    i *= each;
    count = i + each < count ? i + each : count;
    step = 1;
  }
  if (i >= count) return;
  for (std::uint32_t next = pieceOf(i); i < count; i += step) {
    const auto piece = read(next);
    if (i + step < count) next = pieceOf(i + step);
    work(numberOf(i), piece);
  }
}

/// Calls work(tile, piece). The piece is read before the next one is looked up: the other order costs registers.
template <class NumberOf, class Work>
__device__ __forceinline__ void forEachTile(const TileTable& tiles, std::uint32_t count, const NumberOf& numberOf,
                                            const Work& work) {
  forEachTileRead(tiles, count, numberOf, [&](std::uint32_t piece) { return loadStruct(tiles.pieces + piece); }, work);
}

/// Calls work(tile, number of its piece).
template <class NumberOf, class Work>
__device__ __forceinline__ void forEachTileNumber(const TileTable& tiles, std::uint32_t count,
                                                  const NumberOf& numberOf, const Work& work) {
  forEachTileRead(tiles, count, numberOf, [](std::uint32_t piece) { return piece; }, work);
}

template <class T>
constexpr DType kTypeOf = std::is_same_v<T, Float16> ? DType::Float16 : DType::BFloat16;
template <>
constexpr DType kTypeOf<double> = DType::Float64;
template <>
constexpr DType kTypeOf<float> = DType::Float32;

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
