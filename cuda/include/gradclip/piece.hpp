// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "gradclip/dtype.hpp"

namespace gradclip {

/// One run of elements, contiguous but for a unit along an axis: an entry of dev.gradclip.internal.memory.PieceTable.
struct Piece {
  std::int64_t address;      ///< of the first element; 0 for a heap array
  std::int64_t arrayOffset;  ///< bytes from the start of the heap array to the first element
  std::int64_t count;        ///< elements; 0 for an absent tensor
  std::int64_t firstTile;    ///< number of the first tile in the plan
  std::int32_t segment;      ///< tensor whose norm the elements share
  DType dtype;
  std::int64_t inner = 0;   ///< elements of each block; 0 where all elements lie side by side
  std::int64_t stride = 0;  ///< elements between the beginnings of two blocks

  bool isStrided() const { return inner != 0; }

  /// How far an element lies from the first one, in elements.
  std::int64_t index(std::int64_t element) const {
    return isStrided() ? element / inner * stride + element % inner : element;
  }
};

static_assert(sizeof(Piece) == 56, "layout that Java writes");
static_assert(offsetof(Piece, address) == 0, "layout that Java writes");
static_assert(offsetof(Piece, arrayOffset) == 8, "layout that Java writes");
static_assert(offsetof(Piece, count) == 16, "layout that Java writes");
static_assert(offsetof(Piece, firstTile) == 24, "layout that Java writes");
static_assert(offsetof(Piece, segment) == 32, "layout that Java writes");
static_assert(offsetof(Piece, dtype) == 36, "layout that Java writes");
static_assert(offsetof(Piece, inner) == 40, "layout that Java writes");
static_assert(offsetof(Piece, stride) == 48, "layout that Java writes");

inline std::int64_t tilesOf(const Piece& piece) {
  const std::int64_t tile = tileElements(piece.dtype);
  return piece.count / tile + (piece.count % tile == 0 ? 0 : 1);
}

/// The part of a piece that a range of tiles covers.
struct PieceRange {
  std::int64_t firstTile;     ///< in the plan
  std::int64_t firstElement;  ///< in the piece
  std::int64_t count;
};

/// Calls visit(i, range) for each piece with elements in [firstTile, lastTile), until one call returns false.
template <class Visit>
void forEachPiece(const Piece* pieces, std::int64_t count, std::int64_t firstTile, std::int64_t lastTile,
                  Visit&& visit) {
  const auto startsAfter = [](std::int64_t tile, const Piece& piece) { return tile < piece.firstTile; };
  // Of several pieces with one first tile only the last has elements.
  const Piece* found = std::upper_bound(pieces, pieces + count, firstTile, startsAfter);
  for (std::int64_t i = found == pieces ? 0 : found - pieces - 1; i < count; ++i) {
    const Piece& piece = pieces[i];
    if (piece.firstTile >= lastTile) return;
    const std::int64_t tile = tileElements(piece.dtype);
    const std::int64_t from = std::max(firstTile, piece.firstTile);
    const std::int64_t first = (from - piece.firstTile) * tile;
    const std::int64_t last = std::min(piece.count, (lastTile - piece.firstTile) * tile);
    if (first < last && !visit(i, PieceRange{from, first, last - first})) return;
  }
}

}  // namespace gradclip
