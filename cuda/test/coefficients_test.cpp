// SPDX-License-Identifier: Apache-2.0
// Coefficients with a meaning of their own: 1, NaN, infinity, 0.
#include "support.hpp"

namespace {

Bits scaledWith(int level, DType dtype, const Bits& elements, double coefficient) {
  std::vector<std::uint8_t> memory(elements.size() * static_cast<std::size_t>(gradclip::elementBytes(dtype)));
  store(dtype, elements, memory.data());
  gradclip::levelKernels(level).scale->scale[ordinal(dtype)](
      memory.data(), static_cast<std::int64_t>(elements.size()), coefficient);
  return load(dtype, elements.size(), memory.data());
}

}  // namespace

TEST_CASE("a coefficient that rounds to 1 writes nothing, on read-only memory") {
  for (DType dtype : kAllTypes) {
    Bits elements = normal(dtype, 1000, 1);
    elements[7] = reference::encode(dtype, reference::kInf) + 1;  // a NaN that is not canonical
    Guarded memory(1000 * static_cast<std::size_t>(gradclip::elementBytes(dtype)));
    store(dtype, elements, memory.atStart());
    memory.protect(Guarded::kReadOnly);
    for (int level = 0; level < gradclip::usableLevels(); ++level) {
      const auto scale = gradclip::levelKernels(level).scale->scale[ordinal(dtype)];
      scale(memory.atStart(), 1000, 1.0);
      if (dtype != DType::Float64) scale(memory.atStart(), 1000, 1 - 0x1p-30);
      CHECK(load(dtype, 1000, memory.atStart()) == elements);
    }
  }
}

TEST_CASE("a NaN coefficient makes every element the canonical NaN") {
  for (DType dtype : kAllTypes) {
    const Bits elements = normal(dtype, 77, 1);
    const Bits want(77, reference::encode(dtype, reference::kNaN));
    for (int level = 0; level < gradclip::usableLevels(); ++level) {
      CHECK(scaledWith(level, dtype, elements, reference::kNaN) == want);
      CHECK(scaledWith(level, dtype, elements, -reference::kNaN) == want);
    }
  }
}

TEST_CASE("the canonical NaN is the one that NVIDIA's arithmetic makes, but in float64") {
  CHECK(reference::encode(DType::Float64, reference::kNaN) == 0x7ff8000000000000u);
  CHECK(reference::encode(DType::Float32, reference::kNaN) == 0x7fffffffu);
  CHECK(reference::encode(DType::Float16, reference::kNaN) == 0x7fffu);
  CHECK(reference::encode(DType::BFloat16, reference::kNaN) == 0x7fffu);
}

TEST_CASE("NaNs written are canonical, also those of 0 * infinity") {
  for (DType dtype : kAllTypes) {
    const std::uint64_t infinity = reference::encode(dtype, reference::kInf);
    const std::uint64_t sign = std::uint64_t{1} << (reference::format(dtype).bits - 1);
    const Bits elements = {infinity, infinity | sign, infinity + 1, (infinity + 1) | sign};
    const Bits want(4, reference::encode(dtype, reference::kNaN));
    for (int level = 0; level < gradclip::usableLevels(); ++level) {
      CHECK(scaledWith(level, dtype, elements, 0.0) == want);
      CHECK(scaledWith(level, dtype, Bits(40, 0), reference::kInf) == Bits(40, want[0]));
    }
  }
}

TEST_CASE("0 keeps signs") {
  for (DType dtype : kAllTypes) {
    const std::uint64_t sign = std::uint64_t{1} << (reference::format(dtype).bits - 1);
    const Bits elements = {reference::encode(dtype, 3), reference::encode(dtype, -3), 0, sign};
    for (int level = 0; level < gradclip::usableLevels(); ++level) {
      CHECK(scaledWith(level, dtype, elements, 0.0) == Bits{0, sign, 0, sign});
    }
  }
}
