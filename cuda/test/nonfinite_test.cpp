// SPDX-License-Identifier: Apache-2.0
// NaN and infinity at any place reach the partial of their tile, and no other.
#include "support.hpp"

TEST_CASE("NaN and infinity first, in the middle, last") {
  for (DType dtype : kAllTypes) {
    for (std::size_t count : {1, 13, 33, 207, 2049, 4098}) {
      for (std::size_t place : {std::size_t{0}, count / 2, count - 1}) {
        for (double value : {reference::kNaN, reference::kInf, -reference::kInf}) {
          Bits elements = normal(dtype, count, 1);
          elements[place] = reference::encode(dtype, value);
          for (NormKind norm : kTileNorms) {
            checkBits(dtype, norm, elements);
            const auto partials = expected(dtype, norm, elements);
            const auto& hit = partials[place / static_cast<std::size_t>(gradclip::tileElements(dtype))];
            CHECK(std::isnan(hit.middle + hit.high) == std::isnan(value));
            CHECK(!std::isfinite(hit.middle + hit.high));
          }
        }
      }
    }
  }
}

TEST_CASE("a NaN beats an infinity, whatever its sign and payload") {
  for (DType dtype : kAllTypes) {
    const auto format = reference::format(dtype);
    const std::uint64_t infinity = reference::encode(dtype, reference::kInf);
    const std::uint64_t sign = std::uint64_t{1} << (format.bits - 1);
    for (std::uint64_t nan : {infinity + 1, sign + infinity + 1}) {
      Bits elements = normal(dtype, 100, 1);
      elements[3] = infinity;
      elements[60] = nan;
      for (NormKind norm : kTileNorms) checkBits(dtype, norm, elements);
    }
  }
}
