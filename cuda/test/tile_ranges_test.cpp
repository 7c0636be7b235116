// SPDX-License-Identifier: Apache-2.0
// However the tiles of a table are split over calls, each element is visited once and the partials are the same.
#include "support.hpp"

using gradclip::Piece;
using gradclip::PieceRange;

namespace {

struct Table {
  std::vector<std::vector<std::uint8_t>> memory;
  std::vector<Piece> pieces;
  std::int64_t tiles = 0;

  void add(DType dtype, std::size_t count) {
    const Bits elements = normal(dtype, count, 1, static_cast<unsigned>(pieces.size()));
    memory.emplace_back(count * static_cast<std::size_t>(gradclip::elementBytes(dtype)) + 1);
    store(dtype, elements, memory.back().data());
    const auto address = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(memory.back().data()));
    const auto segment = static_cast<std::int32_t>(pieces.size());
    pieces.push_back({address, 0, static_cast<std::int64_t>(count), tiles, segment, dtype});
    const std::int64_t tile = gradclip::tileElements(dtype);
    tiles += (static_cast<std::int64_t>(count) + tile - 1) / tile;
  }

  void measure(int level, std::int64_t first, std::int64_t last, std::vector<double>& partials) const {
    const gradclip::Measure measure{gradclip::levelKernels(level), NormKind::L2, 0, nullptr};
    const auto count = static_cast<std::int64_t>(pieces.size());
    gradclip::forEachPiece(pieces.data(), count, first, last, [&](std::int64_t i, const PieceRange& range) {
      const Piece& piece = pieces[static_cast<std::size_t>(i)];
      const auto* x = memory[static_cast<std::size_t>(i)].data() +
                      range.firstElement * gradclip::elementBytes(piece.dtype);
      measure(piece, x, range.count, partials.data() + range.firstTile, tiles);
      return true;
    });
  }
};

Table mixed() {
  Table table;
  const std::size_t counts[] = {0, 5, 0, 0, 4096, 9000, 1, 0, 4097, 20000, 3, 0};
  std::size_t i = 0;
  for (std::size_t count : counts) table.add(kAllTypes[i++ % 4], count);
  return table;
}

}  // namespace

TEST_CASE("any split gives the same partials") {
  const Table table = mixed();
  for (int level = 0; level < gradclip::usableLevels(); ++level) {
    std::vector<double> whole(static_cast<std::size_t>(3 * table.tiles));
    table.measure(level, 0, table.tiles, whole);
    std::vector<double> single(whole.size());
    for (std::int64_t tile = 0; tile < table.tiles; ++tile) table.measure(level, tile, tile + 1, single);
    CHECK(whole == single);
    std::mt19937 random(3);
    for (int round = 0; round < 50; ++round) {
      std::vector<double> split(whole.size());
      for (std::int64_t first = 0; first < table.tiles;) {
        const std::int64_t last = std::min(table.tiles, first + static_cast<std::int64_t>(random() % 6));
        table.measure(level, first, last, split);
        first = last;
      }
      CHECK(whole == split);
    }
  }
}

TEST_CASE("each element is visited once, absent tensors never") {
  const Table table = mixed();
  std::vector<std::int64_t> seen(table.pieces.size());
  const auto count = static_cast<std::int64_t>(table.pieces.size());
  for (std::int64_t tile = 0; tile < table.tiles; ++tile) {
    gradclip::forEachPiece(table.pieces.data(), count, tile, tile + 1, [&](std::int64_t i, const PieceRange& range) {
      CHECK(range.firstTile == tile);
      CHECK(range.firstElement == seen[static_cast<std::size_t>(i)]);
      seen[static_cast<std::size_t>(i)] += range.count;
      return true;
    });
  }
  for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == table.pieces[i].count);
}

TEST_CASE("counts beyond 2^31") {
  const std::int64_t count = (std::int64_t{1} << 33) + 5;
  const Piece pieces[] = {{8, 0, count, 0, 0, DType::BFloat16}, {8, 0, 1, (count + 4095) / 4096, 1, DType::Float32}};
  std::int64_t last = 0;
  const auto visit = [&](std::int64_t i, const PieceRange& range) {
    if (i == 0) last = range.firstElement + range.count;
    return true;
  };
  gradclip::forEachPiece(pieces, 2, (count + 4095) / 4096 - 1, (count + 4095) / 4096 + 1, visit);
  CHECK(last == count);
}
