// SPDX-License-Identifier: Apache-2.0
// Finite gradients neither overflow nor vanish: level 3 of the canonical reduction.
#include "support.hpp"

TEST_CASE("deviations from the smallest subnormal to the largest number") {
  for (DType dtype : kAllTypes) {
    const auto format = reference::format(dtype);
    for (int exponent = 1 - format.bias - format.fraction; exponent <= format.bias - 2;
         exponent += format.bias > 200 ? 37 : 5) {
      for (std::size_t count : {7, 100, 4100}) {
        const Bits elements = normal(dtype, count, std::ldexp(1.0, exponent));
        for (NormKind norm : kTileNorms) checkBits(dtype, norm, elements);
      }
    }
  }
}

TEST_CASE("sums around each limit, with lanes that only one side of it can add exactly") {
  for (DType dtype : {DType::Float32, DType::BFloat16, DType::Float64}) {
    const int low = dtype == DType::Float64 ? -450 : -40, high = dtype == DType::Float64 ? 450 : 60;
    for (int limit : {low, high}) {
      for (int exponent = limit - 30; exponent <= limit + 4; ++exponent) {
        const Bits elements = spreadLanes(dtype, 3000, 20, exponent);
        for (NormKind norm : kTileNorms) checkBits(dtype, norm, elements);
      }
    }
  }
}

TEST_CASE("the largest finite elements stay finite") {
  for (DType dtype : kAllTypes) {
    const Bits elements(5000, reference::encode(dtype, reference::kInf) - 1);
    for (NormKind norm : kTileNorms) {
      checkBits(dtype, norm, elements);
      for (const auto& partial : expected(dtype, norm, elements)) CHECK(std::isfinite(partial.middle + partial.high));
    }
  }
}

TEST_CASE("the smallest subnormals do not vanish") {
  for (DType dtype : kAllTypes) {
    const Bits elements(5000, 1);
    checkBits(dtype, NormKind::L2, elements);
    for (const auto& partial : expected(dtype, NormKind::L2, elements)) CHECK(partial.middle + partial.low > 0);
  }
}

TEST_CASE("float64 planes") {
  const auto planesOf = [](double value, NormKind norm, std::size_t count) {
    const Bits elements(count, reference::encode(DType::Float64, value));
    std::vector<std::uint8_t> memory(count * 8);
    store(DType::Float64, elements, memory.data());
    unsigned all = 0;
    for (int level = 0; level < gradclip::usableLevels(); ++level) {
      unsigned planes = 0;
      measured(level, DType::Float64, norm, memory.data(), count, &planes);
      if (level > 0) CHECK(planes == all);
      all = planes;
    }
    return all;
  };
  for (std::size_t count : {3, 2000}) {
    CHECK(planesOf(1, NormKind::L2, count) == 0);
    CHECK(planesOf(0, NormKind::L2, count) == 0);
    CHECK(planesOf(-0.0, NormKind::L2, count) == 0);
    CHECK(planesOf(1e-200, NormKind::L2, count) == gradclip::kLowPlane);
    CHECK(planesOf(1e200, NormKind::L2, count) == gradclip::kHighPlane);
    CHECK(planesOf(1e-320, NormKind::L1, count) == 0);
    CHECK(planesOf(1e300, NormKind::L1, count) == gradclip::kHighPlane);
    CHECK(planesOf(reference::kNaN, NormKind::L1, count) == gradclip::kHighPlane);
    CHECK(planesOf(1e300, NormKind::Inf, count) == 0);
  }
}
