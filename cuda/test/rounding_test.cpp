// SPDX-License-Identifier: Apache-2.0
// Products are rounded to nearest even, subnormals and overflow included, as the definition says.
#include "support.hpp"

namespace {

/// What scaling must store, from exact arithmetic: the product rounded to A, then to the type.
std::uint64_t scaledBits(DType dtype, std::uint64_t bits, double coefficient) {
  const double x = reference::decode(dtype, bits);
  if (dtype == DType::Float64) return reference::encode(dtype, x * coefficient);
  const float rounded = static_cast<float>(coefficient);
  const bool inDouble = std::fabs(coefficient) < 0x1p-100 || std::isinf(rounded);
  return reference::encode(dtype, inDouble ? static_cast<float>(x * coefficient) : static_cast<float>(x) * rounded);
}

void checkScale(DType dtype, const Bits& elements, double coefficient) {
  Guarded memory(elements.size() * static_cast<std::size_t>(gradclip::elementBytes(dtype)));
  for (int level = 0; level < gradclip::usableLevels(); ++level) {
    std::uint8_t* x = memory.atEnd();
    store(dtype, elements, x);
    gradclip::levelKernels(level).scale->scale[ordinal(dtype)](x, static_cast<std::int64_t>(elements.size()),
                                                              coefficient);
    const Bits got = load(dtype, elements.size(), x);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const std::uint64_t want = scaledBits(dtype, elements[i], coefficient);
      if (got[i] != want) {
        FAIL("level " << level << " dtype " << ordinal(dtype) << " coefficient " << coefficient << " bits "
                      << elements[i] << " got " << got[i] << " want " << want);
      }
    }
  }
}

Bits all16() {
  Bits elements(65536);
  for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = i;
  return elements;
}

}  // namespace

TEST_CASE("every float16 and bfloat16 times many coefficients") {
  for (DType dtype : {DType::Float16, DType::BFloat16}) {
    for (double coefficient : {1 - 0x1p-24,
                               1 + 0x1p-23,
                               1 - 0x1p-11,
                               1 - 0x1p-8,
                               0.75,
                               0.5,
                               1.0 / 3,
                               0.1,
                               3.0,
                               0x1p-3 * 1.25,
                               0x1p-10,
                               0x1.8p-12,
                               0x1p-15 * 1.1,
                               0x1p-20 * 1.7,
                               0x1p-100,
                               0x1.5p-101,
                               0x1p-126,
                               0x1p-130 * 1.3,
                               0x1p60,
                               0x1.fffffep127,
                               0x1.fffffeffffp127,
                               0x1.ffffffp127,
                               3.41e38,
                               1e40,
                               0x1p200,
                               0x1.fffffffffffffp1023,
                               reference::kInf,
                               0.0}) {
      checkScale(dtype, all16(), coefficient);
    }
  }
}

TEST_CASE("random float32 and float64 bits") {
  std::mt19937_64 random(5);
  for (DType dtype : {DType::Float32, DType::Float64}) {
    Bits elements(20011);
    for (auto& bits : elements) bits = dtype == DType::Float32 ? random() >> 32 : random();
    for (double coefficient :
         {1 - 0x1p-24, 0.1, 1.0 / 3, 0x1p-100, 0x1.5p-101, 0x1p-130, 1e-30, 1e30, 0x1.fffffeffffp127, 0x1.ffffffp127,
          3.41e38, 1e41, 0x1.fffffffffffffp1023, reference::kInf, 0.0}) {
      checkScale(dtype, elements, coefficient);
    }
  }
}

TEST_CASE("every size and alignment leaves the neighbours alone") {
  for (DType dtype : kAllTypes) {
    const auto size = static_cast<std::size_t>(gradclip::elementBytes(dtype));
    for (std::size_t count = 0; count < 140; ++count) {
      for (std::size_t offset : {std::size_t{0}, std::size_t{1}, size, 3 * size}) {
        const Bits elements = normal(dtype, count, 1);
        std::vector<std::uint8_t> memory(count * size + offset + 64, 0xa5);
        for (int level = 0; level < gradclip::usableLevels(); ++level) {
          store(dtype, elements, memory.data() + offset);
          gradclip::levelKernels(level).scale->scale[ordinal(dtype)](memory.data() + offset,
                                                                    static_cast<std::int64_t>(count), 0.3);
          const Bits got = load(dtype, count, memory.data() + offset);
          for (std::size_t i = 0; i < count; ++i) REQUIRE(got[i] == scaledBits(dtype, elements[i], 0.3));
          for (std::size_t i = 0; i < offset; ++i) REQUIRE(memory[i] == 0xa5);
          for (std::size_t i = 0; i < 64; ++i) REQUIRE(memory[offset + count * size + i] == 0xa5);
        }
      }
    }
  }
}
