// SPDX-License-Identifier: Apache-2.0
// The maximum of the absolute bits: NaN's exceed infinity's, so a NaN stays.
#pragma once

#include "cpu/vectors.hpp"

GRADCLIP_BEGIN_LEVEL

template <class T>
typename Element<T>::Bits maximumBits(const Byte* x, std::size_t bytes) {
  using Bits = typename Element<T>::Bits;
  const hn::ScalableTag<Bits> d;
  const auto mask = hn::Set(d, static_cast<Bits>(~Element<T>::kSign));
  const auto absolute = [&](const Byte* p) HWY_ATTR { return hn::And(loadVector<Bits>(p), mask); };
  auto m0 = hn::Zero(d), m1 = m0, m2 = m0, m3 = m0;
  for (; bytes >= 4 * kVectorBytes; bytes -= 4 * kVectorBytes, x += 4 * kVectorBytes) {
    m0 = hn::Max(m0, absolute(x));
    m1 = hn::Max(m1, absolute(x + kVectorBytes));
    m2 = hn::Max(m2, absolute(x + 2 * kVectorBytes));
    m3 = hn::Max(m3, absolute(x + 3 * kVectorBytes));
  }
  for (; bytes >= kVectorBytes; bytes -= kVectorBytes, x += kVectorBytes) m0 = hn::Max(m0, absolute(x));
  HWY_ALIGN Bits lanes[hn::MaxLanes(d)];
  hn::Store(hn::Max(hn::Max(m0, m1), hn::Max(m2, m3)), d, lanes);
  Bits maximum = 0;
  for (const Bits lane : lanes) maximum = lane > maximum ? lane : maximum;
  for (std::size_t i = 0; i < bytes / sizeof(Bits); ++i) {
    const Bits bits = absoluteBits<T>(loadBits<T>(x, static_cast<std::int64_t>(i)));
    maximum = bits > maximum ? bits : maximum;
  }
  return maximum;
}

GRADCLIP_END_LEVEL;
