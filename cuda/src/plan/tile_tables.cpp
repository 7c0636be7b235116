// SPDX-License-Identifier: Apache-2.0
#include "plan/tile_tables.hpp"

#include <algorithm>

#include "plan/bound_pieces.hpp"

namespace gradclip {
namespace {

/// Kernels number tiles with 32 bits, and count a grid beyond the last one: 16 TiB of gradients.
constexpr std::int64_t kMostTiles = std::int64_t{1} << 31;

std::uint32_t runsOf(std::uint32_t tiles) { return tiles > 1 ? (tiles - 1) / kRun + 1 : 0; }

}  // namespace

CudaStatus Tables::countTiles(const Piece* table, std::int32_t pieceCount, std::int32_t segmentCount) {
  std::int64_t count = 0;
  std::int32_t segment = 0;
  for (std::int32_t i = 0; i < pieceCount; ++i) {
    const Piece& piece = table[i];
    const int type = ordinal(piece.dtype);
    if (type < 0 || type >= kDTypes) return refused(i, "has an element type that this library does not know");
    if (piece.count < 0) return refused(i, "has a negative length");
    if (piece.segment < segment || piece.segment >= segmentCount) return refused(i, "is out of the order bound");
    if (piece.firstTile != count) return refused(i, "starts at another tile than the pieces before it end");
    segment = piece.segment;
    count += gradclip::tilesOf(piece);
    if (count >= kMostTiles) return refused(i, "is beyond the 16 TiB that one clipper takes");
    float64 = float64 || piece.dtype == DType::Float64;
  }
  tiles = static_cast<std::uint32_t>(count);
  return {};
}

bool Tables::allocate(std::int32_t segmentCount) {
  segments = static_cast<std::uint32_t>(segmentCount);
  const std::size_t ends = std::size_t{segments} + 1;
  return pieceOfTile.allocate(tiles) && segmentTile.allocate(ends) && segmentRun.allocate(ends) &&
         segmentDeep.allocate(ends);
}

void Tables::numberTiles(const Piece* table, std::int32_t pieceCount) {
  std::uint32_t tile = 0;
  for (std::int32_t i = 0; i < pieceCount; ++i) {
    const Piece& piece = table[i];
    const auto end = tile + static_cast<std::uint32_t>(gradclip::tilesOf(piece));
    for (; tile < end; ++tile) pieceOfTile[tile] = static_cast<std::uint32_t>(i);
    segmentTile[static_cast<std::size_t>(piece.segment) + 1] = tile;
  }
  for (std::uint32_t i = 1; i <= segments; ++i) segmentTile[i] = std::max(segmentTile[i], segmentTile[i - 1]);
}

void Tables::buildRuns() {
  runCount = deepCount = 0;
  for (std::uint32_t segment = 0; segment < segments; ++segment) {
    const std::uint32_t count = runsOf(tilesOf(segment));
    for (std::uint32_t i = 0; i < count; ++i) {
      runs[runCount + i] = {segment, segmentTile[segment] + i * kRun};
    }
    if (count > 1) deep[deepCount++] = {segment, runCount, count, 0};
    runCount += count;
    segmentRun[segment + 1] = runCount;
    segmentDeep[segment + 1] = deepCount;
  }
}

/// The units of one tensor have one Strided, and so have other tensors of its shape, if they are not far from it.
CudaStatus Tables::findStrided(const Piece* table, std::int32_t pieceCount) {
  constexpr std::uint32_t kLookedAt = 64;
  if (std::none_of(table, table + pieceCount, [](const Piece& piece) { return piece.isStrided(); })) return {};
  const auto count = static_cast<std::uint32_t>(pieceCount);
  if (!strided.allocate(std::min<std::uint32_t>(count, kMostStrided)) || !stridedOf.allocate(count))
    return outOfMemory();
  for (std::uint32_t i = 0; i < count; ++i) {
    const Piece& piece = table[i];
    if (!piece.isStrided()) continue;
    const auto bytes = static_cast<std::uint64_t>(elementBytes(piece.dtype));
    const Strided own = {static_cast<std::uint64_t>(piece.inner) * bytes,
                         static_cast<std::uint64_t>(piece.stride) * bytes};
    Strided* const end = strided.begin() + stridedCount;
    const Strided* const found = std::find(end - std::min(stridedCount, kLookedAt), end, own);
    const auto at = static_cast<std::uint32_t>(found - strided.begin());
    if (at == kMostStrided) {
      return refused(static_cast<std::int32_t>(i), "has units along an axis, as 32,767 tensors before it that differ");
    }
    if (found == end) strided[stridedCount++] = own;
    stridedOf[i] = static_cast<std::uint16_t>(at + 1);
  }
  return {};
}

CudaStatus Tables::build(const Piece* table, std::int32_t pieceCount, const Counts& counts) {
  gradients = static_cast<std::uint32_t>(counts.gradients);
  mostParts = static_cast<std::uint32_t>(counts.parts);
  if (auto s = countTiles(table, pieceCount, counts.segments); !s.ok()) return s;
  if (!allocate(counts.segments)) return outOfMemory();
  numberTiles(table, pieceCount);
  std::size_t allRuns = 0, allDeep = 0;
  for (std::uint32_t segment = 0; segment < segments; ++segment) {
    allRuns += runsOf(tilesOf(segment));
    allDeep += runsOf(tilesOf(segment)) > 1 ? 1 : 0;
  }
  if (!runs.allocate(allRuns) || !deep.allocate(allDeep)) return outOfMemory();
  buildRuns();
  return findStrided(table, pieceCount);
}

}  // namespace gradclip
