// SPDX-License-Identifier: Apache-2.0
// The sum of (|x| / maximum)^p: canonical order, so equal to the reference where both use one pow.
#include "support.hpp"

namespace {

std::vector<double> powers(DType dtype, const Bits& elements, double p, double maximum) {
  std::vector<std::uint8_t> memory(elements.size() * static_cast<std::size_t>(gradclip::elementBytes(dtype)));
  store(dtype, elements, memory.data());
  std::vector<double> partials(3 * 8, -1.0);
  gradclip::measurePower(dtype, memory.data(), static_cast<std::int64_t>(elements.size()), p, maximum,
                         partials.data(), 8);
  return partials;
}

}  // namespace

TEST_CASE("any exponent and type") {
  for (DType dtype : kAllTypes) {
    for (double p : {0.5, 1.5, 2.0, 3.0, 4.0}) {
      for (std::size_t count : {1, 13, 207, 2049}) {
        const Bits elements = normal(dtype, count, 1);
        const std::vector<double> got = powers(dtype, elements, p, 4.0);
        const auto tile = static_cast<std::size_t>(gradclip::tileElements(dtype));
        for (std::size_t first = 0; first < count; first += tile) {
          std::vector<double> values;
          for (std::size_t i = first; i < std::min(count, first + tile); ++i) {
            values.push_back(reference::decode(dtype, elements[i]));
          }
          const double want = reference::partial(dtype, NormKind::Power, values, p, 4.0).middle;
          CHECK(got[first / tile] == doctest::Approx(want).epsilon(1e-12));
          CHECK(got[8 + first / tile] == (dtype == DType::Float64 ? 0.0 : -1.0));
        }
      }
    }
  }
}

TEST_CASE("a maximum of 0 gives 0, a NaN stays") {
  CHECK(powers(DType::Float32, Bits(100, 0), 3, 0)[0] == 0.0);
  Bits elements(100, 0);
  elements[50] = reference::encode(DType::Float32, reference::kNaN);
  CHECK(std::isnan(powers(DType::Float32, elements, 3, reference::kNaN)[0]));
}
