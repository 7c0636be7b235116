// SPDX-License-Identifier: Apache-2.0
// Levels 4 and 5 of the canonical reduction, written from their definition.
#pragma once

#include "common/norms_and_coefficients.hpp"
#include "support.hpp"

namespace reference {

inline double foldRun(const std::vector<double>& entries, std::size_t from) {
  double s[256] = {};
  for (std::size_t i = from; i < std::min(entries.size(), from + 1024); ++i) s[(i - from) % 256] += entries[i];
  for (std::size_t w = 128; w > 0; w /= 2) {
    for (std::size_t j = 0; j < w; ++j) s[j] += s[j + w];
  }
  return s[0];
}

inline double fold(std::vector<double> entries) {
  if (entries.empty()) return 0;
  while (entries.size() > 1) {
    std::vector<double> next;
    for (std::size_t from = 0; from < entries.size(); from += 1024) next.push_back(foldRun(entries, from));
    entries = next;
  }
  return entries[0];
}

inline double largest(const std::vector<double>& entries) {
  double result = 0;
  for (double x : entries) result = std::isnan(x) || std::isnan(result) ? kNaN : std::max(result, x);
  return result;
}

/// Entries of the three planes, folded each for itself.
struct PlaneEntries {
  std::vector<double> low, middle, high;

  void add(double l, double m, double h) {
    low.push_back(l);
    middle.push_back(m);
    high.push_back(h);
  }

  gradclip::Sums folded(NormKind norm) const {
    if (norm == NormKind::Inf) return {0, largest(middle), 0};
    return {fold(low), fold(middle), fold(high)};
  }
};

inline gradclip::Sums segmentSums(NormKind norm, DType dtype, const Bits& elements) {
  PlaneEntries entries;
  for (const Partial& partial : expected(dtype, norm, elements)) entries.add(partial.low, partial.middle, partial.high);
  return entries.folded(norm);
}

/// What scaling must store, from exact arithmetic: the product rounded to A, then to the type.
inline std::uint64_t scaled(DType dtype, std::uint64_t bits, double coefficient) {
  const double x = decode(dtype, bits);
  if (dtype == DType::Float64) return coefficient == 1 ? bits : encode(dtype, x * coefficient);
  const float rounded = static_cast<float>(coefficient);
  if (rounded == 1.0f) return bits;
  const bool inDouble = std::fabs(coefficient) < 0x1p-100 || std::isinf(rounded);
  return encode(dtype, inDouble ? static_cast<float>(x * coefficient) : static_cast<float>(x) * rounded);
}

/// Compares in A with limits rounded to A; a limit is stored rounded to the type.
inline std::uint64_t clamped(DType dtype, std::uint64_t bits, double min, double max) {
  const double x = decode(dtype, bits);
  min = limitIn(dtype, min);
  max = limitIn(dtype, max);
  return x > max ? encode(dtype, max) : x < min ? encode(dtype, min) : bits;
}

inline std::uint64_t finite(DType dtype, std::uint64_t bits) { return std::isfinite(decode(dtype, bits)) ? bits : 0; }

}  // namespace reference
