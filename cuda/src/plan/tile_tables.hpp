// SPDX-License-Identifier: Apache-2.0
// The tables of a plan that never change: which tile is of which piece, how tiles fold.
#pragma once

#include "kernels/device_structs.hpp"
#include "gradclip/cuda.hpp"
#include "plan/host_array.hpp"

namespace gradclip {

struct Tables {
  HostArray<std::uint32_t> pieceOfTile;
  HostArray<Run> runs;
  HostArray<Deep> deep;
  HostArray<std::uint32_t> segmentTile;  ///< first tile of each segment, and one more
  HostArray<std::uint32_t> segmentRun;   ///< first run of each segment, and one more
  HostArray<std::uint32_t> segmentDeep;  ///< first deep segment from each on, and one more
  std::uint32_t tiles = 0, runCount = 0, deepCount = 0, segments = 0;
  std::uint32_t gradients = 0;  ///< segments that are not weights
  std::uint32_t mostParts = 0;  ///< of one rule
  HostArray<Strided> strided;   ///< the different ones that pieces have
  HostArray<std::uint16_t> stridedOf;  ///< as DevicePiece::strided, by piece; empty where no piece is strided
  std::uint32_t stridedCount = 0;
  bool float64 = false;

  /// From pieces in ascending order of segments.
  CudaStatus build(const Piece* table, std::int32_t pieceCount, const Counts& counts);

  std::uint16_t stridedOfPiece(std::int32_t i) const {
    return stridedCount == 0 ? std::uint16_t{0} : stridedOf[static_cast<std::size_t>(i)];
  }
  unsigned planes() const { return float64 ? 3 : 1; }
  std::uint32_t gradientTiles() const { return segmentTile[gradients]; }
  std::uint32_t tilesOf(std::uint32_t segment) const { return segmentTile[segment + 1] - segmentTile[segment]; }

 private:
  CudaStatus countTiles(const Piece* table, std::int32_t pieceCount, std::int32_t segmentCount);
  bool allocate(std::int32_t segmentCount);
  void numberTiles(const Piece* table, std::int32_t pieceCount);
  void buildRuns();
  CudaStatus findStrided(const Piece* table, std::int32_t pieceCount);
};

}  // namespace gradclip
