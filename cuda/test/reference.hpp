// SPDX-License-Identifier: Apache-2.0
// The canonical reduction and the element types, written from their definitions and sharing no code with the library.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "gradclip/dtype.hpp"
#include "gradclip/norm.hpp"

namespace reference {

using gradclip::DType;
using gradclip::NormKind;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Fraction bits and exponent bias of a type.
struct Format {
  int fraction, bias, bits;
};

inline Format format(DType dtype) {
  switch (dtype) {
    case DType::Float64: return {52, 1023, 64};
    case DType::Float32: return {23, 127, 32};
    case DType::Float16: return {10, 15, 16};
    default: return {7, 127, 16};
  }
}

inline double decode(DType dtype, std::uint64_t bits) {
  const Format f = format(dtype);
  const std::uint64_t fraction = bits & ((1ull << f.fraction) - 1);
  const int exponent = static_cast<int>(bits >> f.fraction) & (2 * f.bias + 1);
  const double sign = (bits >> (f.bits - 1)) != 0 ? -1.0 : 1.0;
  if (exponent == 2 * f.bias + 1) return fraction != 0 ? kNaN : sign * kInf;
  const double leading = exponent == 0 ? 0.0 : std::ldexp(1.0, f.fraction);
  return sign * std::ldexp(leading + static_cast<double>(fraction), std::max(exponent, 1) - f.bias - f.fraction);
}

/// Nearest even; a NaN is canonical: positive, all other bits set, but for float64, where it is quiet and nothing else.
inline std::uint64_t encode(DType dtype, double value) {
  const Format f = format(dtype);
  const std::uint64_t infinity = static_cast<std::uint64_t>(2 * f.bias + 1) << f.fraction;
  if (std::isnan(value)) {
    return dtype == DType::Float64 ? infinity | 1ull << (f.fraction - 1) : infinity | ((1ull << f.fraction) - 1);
  }
  const std::uint64_t sign = std::signbit(value) ? 1ull << (f.bits - 1) : 0;
  if (value == 0.0) return sign;
  if (std::isinf(value)) return sign | infinity;
  const int exponent = std::max(std::ilogb(value), 1 - f.bias);
  const double units = std::nearbyint(std::ldexp(std::fabs(value), f.fraction - exponent));
  const std::uint64_t hidden = 1ull << f.fraction;
  const std::uint64_t start = static_cast<std::uint64_t>(exponent + f.bias) << f.fraction;
  return sign | std::min(infinity, start - hidden + static_cast<std::uint64_t>(units));
}

/// The limit in A: a finite one that the type has no finite number near is the type's largest.
inline double limitIn(DType dtype, double limit) {
  if (std::isfinite(limit) && std::isinf(decode(dtype, encode(dtype, limit)))) {
    const double largest = decode(dtype, encode(dtype, kInf) - 1);
    return std::copysign(largest, limit);
  }
  return dtype == DType::Float64 ? limit : static_cast<float>(limit);
}

inline double pairwise(const std::vector<double>& values) {
  if (values.size() == 1) return values[0];
  std::vector<double> half;
  for (std::size_t i = 0; i < values.size(); i += 2) half.push_back(values[i] + values[i + 1]);
  return pairwise(half);
}

/// Levels 1 and 2: lanes of type A, then components, then threads. `term` maps an element to what its lane adds.
template <class A, class Term>
double sumTile(const std::vector<double>& tile, std::size_t V, Term term) {
  std::vector<std::vector<A>> lane(32, std::vector<A>(V, A(0)));
  for (std::size_t i = 0; i < tile.size(); ++i) {
    A& sum = lane[(i / V) % 32][i % V];
    sum = sum + term(static_cast<A>(tile[i]));
  }
  std::vector<double> s;
  for (const auto& components : lane) s.push_back(pairwise({components.begin(), components.end()}));
  for (std::size_t o : {16u, 8u, 4u, 2u, 1u}) {
    std::vector<double> next(32);
    for (std::size_t t = 0; t < 32; ++t) next[t] = s[t] + s[t ^ o];
    s = next;
  }
  return s[0];
}

/// One tile's entries in the three planes.
struct Partial {
  double middle, low, high;
};

template <class A>
double sumTile(const std::vector<double>& tile, std::size_t V, NormKind norm, double factor) {
  const A f = static_cast<A>(factor);
  if (norm == NormKind::L1) return sumTile<A>(tile, V, [f](A x) { return std::fabs(x * f); });
  return sumTile<A>(tile, V, [f](A x) { const A scaled = x * f; return scaled * scaled; });
}

/// Levels 1 to 3.
inline Partial partial(DType dtype, NormKind norm, const std::vector<double>& tile, double p = 0, double maximum = 0) {
  const auto V = static_cast<std::size_t>(16 / gradclip::elementBytes(dtype));
  const bool l2 = norm == NormKind::L2;
  if (norm == NormKind::Inf) {
    double largest = 0;
    for (double x : tile) largest = std::isnan(x) || std::isnan(largest) ? kNaN : std::max(largest, std::fabs(x));
    return {largest, 0, 0};
  }
  if (norm == NormKind::Power) {
    if (maximum == 0) return {0, 0, 0};
    return {sumTile<double>(tile, V, [&](double x) { return std::pow(std::fabs(x) / maximum, p); }), 0, 0};
  }
  if (dtype == DType::Float64) {
    const double s = sumTile<double>(tile, V, norm, 1);
    if (!(s <= 0x1p900)) return {0, 0, sumTile<double>(tile, V, norm, 0x1p-600)};
    if (l2 && s < 0x1p-900) return {0, sumTile<double>(tile, V, norm, 0x1p600), 0};
    return {s, 0, 0};
  }
  const double s = sumTile<float>(tile, V, norm, 1);
  if (dtype == DType::Float16) return {s, 0, 0};
  if (!(s <= 0x1p120)) return {sumTile<float>(tile, V, norm, 0x1p-70) * (l2 ? 0x1p140 : 0x1p70), 0, 0};
  if (l2 && s < 0x1p-80) return {sumTile<float>(tile, V, norm, 0x1p100) * 0x1p-200, 0, 0};
  return {s, 0, 0};
}

inline bool sameBits(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return std::memcmp(&a, &b, sizeof a) == 0;
}

inline bool same(const Partial& a, const Partial& b) {
  return sameBits(a.middle, b.middle) && sameBits(a.low, b.low) && sameBits(a.high, b.high);
}

}  // namespace reference
