// SPDX-License-Identifier: Apache-2.0
// Level 1 of the canonical reduction: a tile's elements into its lanes.
#pragma once

#include <type_traits>

#include "cpu/vectors.hpp"
#include "common/canonical_tile.hpp"

GRADCLIP_BEGIN_LEVEL

constexpr std::size_t kStripeBytes = 512;

/// What is loaded at once: kBytes of a stripe become kVectors vectors of accumulator lanes, the first at lane
/// unit * MaxLanes, each next one kVectorStride lanes on. kGroup units are carried through the stripes together: as
/// many as the registers hold.
template <class T>
struct Unit {
  static constexpr std::size_t kBytes = kVectorBytes;
  static constexpr std::size_t kVectors = 1;
  static constexpr std::size_t kVectorStride = 0;
  static constexpr std::size_t kGroup = 8;
  using V = hn::Vec<hn::ScalableTag<T>>;
  static HWY_INLINE void load(const Byte* p, V* v) { v[0] = loadVector<T>(p); }
};

template <>
struct Unit<Float16> {
  static constexpr std::size_t kBytes = kVectorBytes / 2;
  static constexpr std::size_t kVectors = 1;
  static constexpr std::size_t kVectorStride = 0;
  static constexpr std::size_t kGroup = HWY_CAP_GE512 ? 16 : 8;
  using V = FloatVector;
  static HWY_INLINE void load(const Byte* p, V* v) { v[0] = loadHalves(p); }
};

template <>
struct Unit<BFloat16> {
  static constexpr std::size_t kBytes = kVectorBytes;
  static constexpr std::size_t kVectors = 2;
  static constexpr std::size_t kVectorStride = 128;
  static constexpr std::size_t kGroup = HWY_CAP_GE512 ? 8 : 4;
  using V = FloatVector;
  static HWY_INLINE void load(const Byte* p, V* v) {
    const auto words = loadVector<std::uint32_t>(p);
    v[0] = evenBfloats(words);
    v[1] = oddBfloats(words);
  }
};

/// Lanes of a tile: a stripe's worth of elements.
template <class T>
constexpr std::size_t kLanes = kStripeBytes / sizeof(T);

template <class T, NormKind Norm, bool Rescale, class V>
HWY_INLINE V addTerm(V lane, V x, V factor) {
  if constexpr (Rescale) x = hn::Mul(x, factor);
  if constexpr (Norm == NormKind::L1) return hn::Add(lane, hn::Abs(x));
  // A float16 squared is exact in float, so fused and unfused sums are the same bits.
  if constexpr (std::is_same_v<T, Float16>) return hn::MulAdd(x, x, lane);
  return hn::Add(lane, hn::Mul(x, x));
}

/// Whole stripes into lanes that start at +0.
template <class T, NormKind Norm, bool Rescale>
HWY_INLINE void sumStripes(const Byte* x, std::size_t stripes, typename Element<T>::A factor,
                           typename Element<T>::A* lanes) {
  using U = Unit<T>;
  using A = typename Element<T>::A;
  const hn::ScalableTag<A> d;
  const auto f = hn::Set(d, factor);
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  for (std::size_t first = 0; first < kStripeBytes / U::kBytes; first += U::kGroup) {
    typename U::V sums[U::kGroup * U::kVectors];
#pragma GCC unroll 16
    for (auto& sum : sums) sum = hn::Zero(d);
    const Byte* p = x + first * U::kBytes;
    for (std::size_t s = 0; s < stripes; ++s, p += kStripeBytes) {
#pragma GCC unroll 16
      for (std::size_t u = 0; u < U::kGroup; ++u) {
        typename U::V v[U::kVectors];
        U::load(p + u * U::kBytes, v);
        for (std::size_t k = 0; k < U::kVectors; ++k) {
          auto& sum = sums[u * U::kVectors + k];
          sum = addTerm<T, Norm, Rescale>(sum, v[k], f);
        }
      }
    }
#pragma GCC unroll 16
    for (std::size_t u = 0; u < U::kGroup; ++u) {
      for (std::size_t k = 0; k < U::kVectors; ++k) {
        hn::Store(sums[u * U::kVectors + k], d, lanes + (first + u) * kWidth + k * U::kVectorStride);
      }
    }
  }
}

/// A stripe that is not whole into lanes that hold the stripes before it.
template <class T, NormKind Norm, bool Rescale>
HWY_INLINE void sumLastStripe(const Byte* x, std::size_t bytes, typename Element<T>::A factor,
                              typename Element<T>::A* lanes) {
  using U = Unit<T>;
  const hn::ScalableTag<typename Element<T>::A> d;
  const auto f = hn::Set(d, factor);
  for (std::size_t u = 0; u * U::kBytes < bytes; ++u) {
    const Byte* p = x + u * U::kBytes;
    Byte padded[U::kBytes];
    if (bytes - u * U::kBytes < U::kBytes) {
      std::memset(padded, 0, sizeof padded);
      std::memcpy(padded, p, bytes - u * U::kBytes);
      p = padded;
    }
    typename U::V v[U::kVectors];
    U::load(p, v);
    for (std::size_t k = 0; k < U::kVectors; ++k) {
      typename Element<T>::A* at = lanes + u * hn::MaxLanes(d) + k * U::kVectorStride;
      hn::Store(addTerm<T, Norm, Rescale>(hn::Load(d, at), v[k], f), d, at);
    }
  }
}

GRADCLIP_END_LEVEL;
