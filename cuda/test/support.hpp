// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "gradclip/cpu.hpp"
#include "guarded.hpp"
#include "reference.hpp"

using gradclip::DType;
using gradclip::NormKind;

constexpr DType kAllTypes[] = {DType::Float64, DType::Float32, DType::Float16, DType::BFloat16};
constexpr NormKind kTileNorms[] = {NormKind::L1, NormKind::L2, NormKind::Inf};

using Bits = std::vector<std::uint64_t>;

inline void store(DType dtype, const Bits& elements, std::uint8_t* to) {
  const auto size = static_cast<std::size_t>(gradclip::elementBytes(dtype));
  for (std::size_t i = 0; i < elements.size(); ++i) std::memcpy(to + i * size, &elements[i], size);  // little-endian
}

inline Bits load(DType dtype, std::size_t count, const std::uint8_t* from) {
  const auto size = static_cast<std::size_t>(gradclip::elementBytes(dtype));
  Bits elements(count);
  for (std::size_t i = 0; i < count; ++i) std::memcpy(&elements[i], from + i * size, size);
  return elements;
}

inline Bits normal(DType dtype, std::size_t count, double deviation, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> distribution(0, deviation);
  Bits elements(count);
  for (auto& bits : elements) bits = reference::encode(dtype, distribution(random));
  return elements;
}

/// Every lane has a magnitude of its own, within 2^±spread: among like magnitudes, sums of floats are exact in double,
/// and the order of the tree would not show.
inline Bits spreadLanes(DType dtype, std::size_t count, int spread, int exponent = 0, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  std::vector<int> shift(512 / static_cast<std::size_t>(gradclip::elementBytes(dtype)));
  for (int& lane : shift) lane = exponent + static_cast<int>(random() % static_cast<unsigned>(2 * spread + 1)) - spread;
  Bits elements = normal(dtype, count, 1, seed);
  for (std::size_t i = 0; i < count; ++i) {
    elements[i] = reference::encode(dtype, std::ldexp(reference::decode(dtype, elements[i]), shift[i % shift.size()]));
  }
  return elements;
}

/// One partial per tile from the reference.
inline std::vector<reference::Partial> expected(DType dtype, NormKind norm, const Bits& elements) {
  const auto tile = static_cast<std::size_t>(gradclip::tileElements(dtype));
  std::vector<reference::Partial> partials;
  for (std::size_t first = 0; first < elements.size(); first += tile) {
    std::vector<double> values;
    for (std::size_t i = first; i < std::min(elements.size(), first + tile); ++i) {
      values.push_back(reference::decode(dtype, elements[i]));
    }
    partials.push_back(reference::partial(dtype, norm, values));
  }
  return partials;
}

/// One partial per tile from a level. The planes start dirty where they must be written and zero where they are not.
inline std::vector<reference::Partial> measured(int level, DType dtype, NormKind norm, const void* x,
                                                std::size_t count, unsigned* planes = nullptr) {
  const auto tile = static_cast<std::size_t>(gradclip::tileElements(dtype));
  const std::size_t tiles = (count + tile - 1) / tile;
  std::vector<double> memory(3 * tiles, dtype == DType::Float64 ? -1.0 : 0.0);
  const auto measure = gradclip::levelKernels(level).measure->measure[ordinal(norm)][ordinal(dtype)];
  const unsigned used =
      measure(x, static_cast<std::int64_t>(count), memory.data(), static_cast<std::int64_t>(tiles));
  if (planes != nullptr) *planes = used;
  std::vector<reference::Partial> partials;
  for (std::size_t i = 0; i < tiles; ++i) partials.push_back({memory[i], memory[tiles + i], memory[2 * tiles + i]});
  return partials;
}

/// Measures with every level, from both ends of guarded memory, and compares each bit.
inline void checkBits(DType dtype, NormKind norm, const Bits& elements, std::size_t offset = 0) {
  const auto want = expected(dtype, norm, elements);
  Guarded memory(elements.size() * static_cast<std::size_t>(gradclip::elementBytes(dtype)));
  for (std::uint8_t* x : {memory.atStart(offset), memory.atEnd(offset)}) {
    store(dtype, elements, x);
    for (int level = 0; level < gradclip::usableLevels(); ++level) {
      const auto got = measured(level, dtype, norm, x, elements.size());
      REQUIRE(got.size() == want.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        INFO("level " << gradclip::levelKernels(level).name << " dtype " << ordinal(dtype) << " norm "
                      << ordinal(norm) << " count " << elements.size() << " offset " << offset << " tile " << i
                      << " got " << got[i].middle << " want " << want[i].middle);
        REQUIRE(reference::same(got[i], want[i]));
      }
    }
  }
}
