// SPDX-License-Identifier: Apache-2.0
// From a tile's lanes to its sum, in the canonical order: components pairwise, then threads by halving distance.
//
// b4 … b0 are the bits of a thread's number, which the tree removes from b4 down. Vectors whose threads differ in b4
// are added whole; four float vectors that differ in b3 and b2 are transposed, so that components stand in vectors of
// their own; 16 sums are left for scalar code.
#pragma once

#include "cpu/vectors.hpp"

GRADCLIP_BEGIN_LEVEL

using DoubleTag = hn::ScalableTag<double>;
using DoubleVector = hn::Vec<DoubleTag>;

constexpr std::size_t kBlocks = kVectorBytes / 16;

/// The doubles of a float vector.
struct Widened {
  DoubleVector lower, upper;
};

HWY_INLINE Widened operator+(const Widened& a, const Widened& b) {
  return {hn::Add(a.lower, b.lower), hn::Add(a.upper, b.upper)};
}

HWY_INLINE Widened widen(hn::Vec<DoubleTag> v) {
  const hn::Half<FloatTag> half;
  const auto f = hn::BitCast(FloatTag(), v);
  return {hn::PromoteTo(DoubleTag(), hn::LowerHalf(half, f)), hn::PromoteTo(DoubleTag(), hn::UpperHalf(half, f))};
}

/// Component c of the four vectors at lanes + 0, 1, 2, 3 * stride, for each c, in block order: per 16-byte block the
/// four vectors' values.
struct Components {
  Widened of[4];
};

HWY_INLINE Components transpose(const float* lanes, std::size_t stride) {
  const FloatTag df;
  const DoubleTag dd;
  const auto v0 = hn::Load(df, lanes), v1 = hn::Load(df, lanes + stride);
  const auto v2 = hn::Load(df, lanes + 2 * stride), v3 = hn::Load(df, lanes + 3 * stride);
  const auto lower01 = hn::BitCast(dd, hn::InterleaveLower(df, v0, v1));
  const auto upper01 = hn::BitCast(dd, hn::InterleaveUpper(df, v0, v1));
  const auto lower23 = hn::BitCast(dd, hn::InterleaveLower(df, v2, v3));
  const auto upper23 = hn::BitCast(dd, hn::InterleaveUpper(df, v2, v3));
  return {{widen(hn::InterleaveLower(dd, lower01, lower23)), widen(hn::InterleaveUpper(dd, lower01, lower23)),
           widen(hn::InterleaveLower(dd, upper01, upper23)), widen(hn::InterleaveUpper(dd, upper01, upper23))}};
}

HWY_INLINE Widened sumFour(const Components& c) { return (c.of[0] + c.of[1]) + (c.of[2] + c.of[3]); }

/// Of 16 sums in the order b1 b0 b3 b2.
HWY_INLINE double sumSixteen(const double* s) {
  double r[4];
  for (int k = 0; k < 4; ++k) r[k] = (s[4 * k] + s[4 * k + 2]) + (s[4 * k + 1] + s[4 * k + 3]);
  return (r[0] + r[2]) + (r[1] + r[3]);
}

/// Lanes in the order thread, component.
HWY_INLINE double sumLanes(const float* lanes, Float16) {
  constexpr std::size_t kStride = 4 * 8;
  constexpr std::size_t kB4 = 16 * 8;
  const DoubleTag dd;
  HWY_ALIGN double sums[16];
  for (std::size_t r = 0; r < 4; r += (kBlocks == 4 ? 2 : 1)) {
    DoubleVector b4[2];
    for (std::size_t high = 0; high < 2; ++high) {
      const float* from = lanes + high * kB4 + r * 8;
      const Widened left = sumFour(transpose(from, kStride));
      // Left and right half of a thread's eight components stand in neighbouring blocks.
      if constexpr (kBlocks == 4) {
        b4[high] = hn::Add(hn::ConcatLowerLower(dd, left.upper, left.lower),
                           hn::ConcatUpperUpper(dd, left.upper, left.lower));
      } else if constexpr (kBlocks == 2) {
        b4[high] = hn::Add(left.lower, left.upper);
      } else {
        const Widened both = left + sumFour(transpose(from + 4, kStride));
        if (high == 0) {
          hn::Store(both.lower, dd, sums + r * 4);
          hn::Store(both.upper, dd, sums + r * 4 + 2);
        } else {
          b4[0] = hn::Add(hn::Load(dd, sums + r * 4), both.lower);
          b4[1] = hn::Add(hn::Load(dd, sums + r * 4 + 2), both.upper);
        }
      }
    }
    if constexpr (kBlocks == 1) {
      hn::Store(b4[0], dd, sums + r * 4);
      hn::Store(b4[1], dd, sums + r * 4 + 2);
    } else {
      hn::Store(hn::Add(b4[0], b4[1]), dd, sums + r * 4);
    }
  }
  return sumSixteen(sums);
}

/// Stores the sums of kBlocks threads times b3 and b2, b4 added.
HWY_INLINE void storeSums(const Widened& low, const Widened& high, double* sums) {
  const DoubleTag dd;
  const Widened sum = low + high;
  hn::Store(sum.lower, dd, sums);
  hn::Store(sum.upper, dd, sums + hn::MaxLanes(dd));
}

/// Lanes in the order thread, component.
HWY_INLINE double sumLanes(const float* lanes, float) {
  HWY_ALIGN double sums[16];
  for (std::size_t r = 0; r < 4; r += kBlocks) {
    const float* from = lanes + r * 4;
    storeSums(sumFour(transpose(from, 16)), sumFour(transpose(from + 64, 16)), sums + r * 4);
  }
  return sumSixteen(sums);
}

/// Lanes in the order thread, component: the even components, then, 128 lanes on, the odd ones.
HWY_INLINE double sumLanes(const float* lanes, BFloat16) {
  HWY_ALIGN double sums[16];
  for (std::size_t r = 0; r < 4; r += kBlocks) {
    Widened b4[2];
    for (std::size_t high = 0; high < 2; ++high) {
      const float* from = lanes + high * 64 + r * 4;
      Components pairs = transpose(from, 16);
      const Components odd = transpose(from + 128, 16);
      for (int c = 0; c < 4; ++c) pairs.of[c] = pairs.of[c] + odd.of[c];
      b4[high] = sumFour(pairs);
    }
    storeSums(b4[0], b4[1], sums + r * 4);
  }
  return sumSixteen(sums);
}

/// Lanes in the order thread, component.
HWY_INLINE double sumLanes(const double* lanes, double) {
  const DoubleTag dd;
  HWY_ALIGN double s[16];  // in the order b2 b1 b0 b3
  for (std::size_t r = 0; r < 8; r += kBlocks) {
    DoubleVector b4[2];
    for (std::size_t high = 0; high < 2; ++high) {
      const double* from = lanes + (high * 16 + r) * 2;
      const auto v0 = hn::Load(dd, from), v1 = hn::Load(dd, from + 16);
      b4[high] = hn::Add(hn::InterleaveLower(dd, v0, v1), hn::InterleaveUpper(dd, v0, v1));
    }
    hn::Store(hn::Add(b4[0], b4[1]), dd, s + r * 2);
  }
  double b2[4];
  for (int k = 0; k < 4; ++k) b2[k] = (s[2 * k] + s[2 * k + 1]) + (s[2 * k + 8] + s[2 * k + 9]);
  return (b2[0] + b2[2]) + (b2[1] + b2[3]);
}

GRADCLIP_END_LEVEL;
