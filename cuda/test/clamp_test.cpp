// SPDX-License-Identifier: Apache-2.0
// clamp and zeroNonFinite: what changes, what is counted, and that nothing else is written.
#include "support.hpp"

namespace {

/// From the definition: compare in A with limits rounded to A; a limit is stored rounded to the type.
std::uint64_t clampedBits(DType dtype, std::uint64_t bits, double min, double max) {
  const double x = reference::decode(dtype, bits);
  min = reference::limitIn(dtype, min);
  max = reference::limitIn(dtype, max);
  if (x > max) return reference::encode(dtype, max);
  if (x < min) return reference::encode(dtype, min);
  return bits;
}

std::uint64_t finiteBits(DType dtype, std::uint64_t bits) {
  return std::isfinite(reference::decode(dtype, bits)) ? bits : 0;
}

template <class Kernel, class Want>
void checkReplaced(DType dtype, const Bits& elements, const Kernel& kernel, const Want& want) {
  const auto size = static_cast<std::size_t>(gradclip::elementBytes(dtype));
  Guarded memory(elements.size() * size);
  std::vector<std::uint8_t*> places = {memory.atEnd()};
  if (elements.size() < 5000) places.insert(places.end(), {memory.atStart(1), memory.atEnd(size)});
  for (int level = 0; level < gradclip::usableLevels(); ++level) {
    for (std::uint8_t* x : places) {
      store(dtype, elements, x);
      const auto& kernels = *gradclip::levelKernels(level).clamp;
      const std::int64_t changed = kernel(kernels, x, static_cast<std::int64_t>(elements.size()));
      const Bits got = load(dtype, elements.size(), x);
      std::int64_t expectedChanges = 0;
      for (std::size_t i = 0; i < got.size(); ++i) {
        const std::uint64_t wanted = want(elements[i]);
        expectedChanges += wanted != elements[i];
        if (got[i] != wanted) {
          FAIL("level " << level << " dtype " << ordinal(dtype) << " bits " << elements[i] << " got " << got[i]
                        << " want " << wanted);
        }
      }
      CHECK(changed == expectedChanges);
    }
  }
}

void checkClamp(DType dtype, const Bits& elements, double min, double max) {
  INFO("limits " << min << " " << max);
  const auto kernel = [&](const gradclip::ClampKernels& kernels, void* x, std::int64_t count) {
    return kernels.clamp[ordinal(dtype)](x, count, min, max);
  };
  checkReplaced(dtype, elements, kernel, [&](std::uint64_t bits) { return clampedBits(dtype, bits, min, max); });
}

void checkZeroNonFinite(DType dtype, const Bits& elements) {
  const auto kernel = [&](const gradclip::ClampKernels& kernels, void* x, std::int64_t count) {
    return kernels.zeroNonFinite[ordinal(dtype)](x, count);
  };
  checkReplaced(dtype, elements, kernel, [&](std::uint64_t bits) { return finiteBits(dtype, bits); });
}

/// Limits that fall on, between and beyond 16-bit numbers, on either side of zero.
const double kLimits[] = {-reference::kInf, -1e300, -3.4e38, -1e30,   -70000, -3.0,    -1.00001, -1.0,  -0.1,
                          -1e-7,            -1e-30, -1e-44,  -0.0,    0.0,    1e-44,   1e-30,    1e-7,  0.1,
                          0.99999,          1.0,    1.00001, 3.0,     65519.99, 65520, 70000,    3.39e38,
                          3.4e38,           3.5e38, 1e300,   reference::kInf};

}  // namespace

TEST_CASE("every float16 and bfloat16 against limits between and on elements") {
  Bits elements(65536);
  for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = i;
  for (DType dtype : {DType::Float16, DType::BFloat16}) {
    for (double limit : kLimits) {
      checkClamp(dtype, elements, -reference::kInf, limit);
      checkClamp(dtype, elements, limit, reference::kInf);
    }
    checkClamp(dtype, elements, -0.5, 0.25);
    checkZeroNonFinite(dtype, elements);
  }
}

TEST_CASE("float32 and float64") {
  std::mt19937_64 random(7);
  for (DType dtype : {DType::Float32, DType::Float64}) {
    Bits elements(4001);
    for (auto& bits : elements) bits = dtype == DType::Float32 ? random() >> 32 : random();
    for (double value : kLimits) elements.push_back(reference::encode(dtype, value));
    elements.push_back(reference::encode(dtype, reference::kNaN));
    elements.push_back(reference::encode(dtype, reference::kInf) + 1);
    for (double limit : kLimits) {
      checkClamp(dtype, elements, -reference::kInf, limit);
      checkClamp(dtype, elements, limit, reference::kInf);
    }
    checkZeroNonFinite(dtype, elements);
  }
}

TEST_CASE("every size") {
  for (DType dtype : kAllTypes) {
    for (std::size_t count = 0; count < 140; ++count) {
      Bits elements = normal(dtype, count, 1);
      if (count > 0) elements[count / 2] = reference::encode(dtype, reference::kNaN);
      checkClamp(dtype, elements, -1, 0.5);
      checkZeroNonFinite(dtype, elements);
    }
  }
}

TEST_CASE("nothing is written where nothing changes") {
  for (DType dtype : kAllTypes) {
    const Bits elements = normal(dtype, 1003, 1);
    Guarded memory(1003 * static_cast<std::size_t>(gradclip::elementBytes(dtype)));
    store(dtype, elements, memory.atStart());
    memory.protect(Guarded::kReadOnly);
    for (int level = 0; level < gradclip::usableLevels(); ++level) {
      const auto& kernels = *gradclip::levelKernels(level).clamp;
      CHECK(kernels.clamp[ordinal(dtype)](memory.atStart(), 1003, -100, 100) == 0);
      CHECK(kernels.zeroNonFinite[ordinal(dtype)](memory.atStart(), 1003) == 0);
    }
  }
}
