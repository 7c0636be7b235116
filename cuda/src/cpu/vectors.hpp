// SPDX-License-Identifier: Apache-2.0
// The vector forms of elements.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/elements.hpp"
#include "cpu/level.hpp"

GRADCLIP_BEGIN_LEVEL

using Byte = std::uint8_t;

constexpr std::size_t kVectorBytes = HWY_MAX_BYTES;

/// A full vector of T from any address.
template <class T>
HWY_INLINE hn::Vec<hn::ScalableTag<T>> loadVector(const Byte* p) {
  return hn::BitCast(hn::ScalableTag<T>(), hn::LoadU(hn::ScalableTag<Byte>(), p));
}

template <class V>
HWY_INLINE void storeVector(V v, Byte* p) {
  const hn::ScalableTag<Byte> bytes;
  hn::StoreU(hn::BitCast(bytes, v), bytes, p);
}

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;
using WordVector = hn::Vec<hn::ScalableTag<std::uint32_t>>;

/// Half a vector's bytes of float16, widened exactly.
HWY_INLINE FloatVector loadHalves(const Byte* p) {
  const FloatTag df;
  const hn::Rebind<std::uint16_t, FloatTag> d16;
  std::uint16_t aligned[hn::MaxLanes(d16)];
  std::memcpy(aligned, p, sizeof aligned);
  const auto halves = hn::LoadU(d16, aligned);
#if HWY_TARGET == HWY_SSE4
  const hn::ScalableTag<std::uint32_t> du;
  const auto bits = hn::PromoteTo(du, halves);
  const auto magnitude = hn::ShiftLeft<13>(hn::And(bits, hn::Set(du, 0x7fffu)));
  const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000u)));
  const auto finite = hn::BitCast(du, hn::Mul(hn::BitCast(df, magnitude), hn::Set(df, 0x1p112f)));
  const auto special = hn::Gt(hn::BitCast(hn::ScalableTag<std::int32_t>(), magnitude),
                              hn::Set(hn::ScalableTag<std::int32_t>(), (0x7c00 << 13) - 1));
  const auto specialBits = hn::And(hn::VecFromMask(du, hn::RebindMask(du, special)), hn::Set(du, 0x7f800000u));
  return hn::BitCast(df, hn::Or(hn::Or(finite, specialBits), sign));
#else
  return hn::PromoteTo(df, hn::BitCast(hn::Rebind<hwy::float16_t, FloatTag>(), halves));
#endif
}

/// NaNs become the one of these bits, whose conversion is then the canonical NaN of a 16-bit type.
HWY_INLINE FloatVector withNaN(FloatVector v, std::uint32_t nan) {
  const FloatTag df;
  const auto quiet = hn::BitCast(df, hn::Set(hn::ScalableTag<std::uint32_t>(), nan));
  return hn::IfThenElse(hn::IsNaN(v), quiet, v);
}

/// Rounds to float16, nearest even, and stores half a vector's bytes.
HWY_INLINE void storeHalves(FloatVector v, Byte* p) {
  const hn::Rebind<std::uint16_t, FloatTag> d16;
  std::uint16_t aligned[hn::MaxLanes(d16)];
#if HWY_TARGET == HWY_SSE4
  const FloatTag df;
  const hn::ScalableTag<std::uint32_t> du;
  const hn::ScalableTag<std::int32_t> di;
  const auto bits = hn::BitCast(du, withNaN(v, 0x7fffffffu));
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffffffu));
  const auto sign = hn::ShiftRight<16>(hn::And(bits, hn::Set(du, 0x80000000u)));
  const auto shifted = hn::BitCast(du, hn::Add(hn::BitCast(df, magnitude), hn::Set(df, 0.5f)));
  const auto subnormal = hn::Sub(shifted, hn::Set(du, 0x3f000000u));
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1u));
  const auto biased = hn::Add(hn::Sub(magnitude, hn::Set(du, 0x38000000u - 0xfffu)), odd);
  const auto normal = hn::ShiftRight<13>(biased);
  const auto ordered = hn::BitCast(di, magnitude);
  const auto isSubnormal = hn::RebindMask(du, hn::Lt(ordered, hn::Set(di, 0x38800000)));
  const auto isInfinite = hn::RebindMask(du, hn::Gt(ordered, hn::Set(di, 0x477fffff)));
  const auto isNaN = hn::RebindMask(du, hn::Gt(ordered, hn::Set(di, 0x7f800000)));
  auto half = hn::IfThenElse(isSubnormal, subnormal, normal);
  half = hn::IfThenElse(isInfinite, hn::Set(du, 0x7c00u), half);
  half = hn::IfThenElse(isNaN, hn::Set(du, 0x7fffu), half);
  hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di, hn::Or(half, sign))), d16, aligned);
#else
  const auto halves = hn::DemoteTo(hn::Rebind<hwy::float16_t, FloatTag>(), withNaN(v, 0x7fffffffu));
  hn::StoreU(hn::BitCast(d16, halves), d16, aligned);
#endif
  std::memcpy(p, aligned, sizeof aligned);
}

/// The even and the odd components of a vector of bfloat16, widened exactly: a shift and a mask, no shuffle.
HWY_INLINE FloatVector evenBfloats(WordVector v) { return hn::BitCast(FloatTag(), hn::ShiftLeft<16>(v)); }

HWY_INLINE FloatVector oddBfloats(WordVector v) {
  return hn::BitCast(FloatTag(), hn::And(v, hn::Set(hn::ScalableTag<std::uint32_t>(), 0xffff0000u)));
}

/// Rounds to bfloat16 in the upper half of each word, nearest even; the lower half is left dirty.
HWY_INLINE WordVector roundBfloats(FloatVector v) {
  const hn::ScalableTag<std::uint32_t> du;
  // The lower half is clear, or rounding would carry into the sign.
  const auto bits = hn::BitCast(du, withNaN(v, 0x7fff0000u));
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  return hn::Add(hn::Add(bits, hn::Set(du, 0x7fffu)), odd);
}

/// Even and odd components, rounded to bfloat16, in their places.
HWY_INLINE WordVector joinBfloats(FloatVector even, FloatVector odd) {
  const hn::ScalableTag<std::uint32_t> du;
  return hn::Or(hn::ShiftRight<16>(roundBfloats(even)), hn::And(roundBfloats(odd), hn::Set(du, 0xffff0000u)));
}

GRADCLIP_END_LEVEL;
