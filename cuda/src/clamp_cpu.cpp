// SPDX-License-Identifier: Apache-2.0
// Replaces single elements in place: clamp and zeroNonFinite; compiled once per SIMD level.
#include <limits>

#include "level_kernels.hpp"
#include "simd_transform.hpp"

GRADCLIP_BEGIN_LEVEL
namespace {

/// Stores `replaced` where the mask is set, if it is set anywhere; returns in how many lanes.
template <class D, class V, class M>
HWY_INLINE std::int64_t replace(D d, M mask, V v, V replaced, Byte* p) {
  if (HWY_LIKELY(hn::AllFalse(d, mask))) return 0;
  storeVector(hn::IfThenElse(mask, replaced, v), p);
  return static_cast<std::int64_t>(hn::CountTrue(d, mask));
}

/// Elements of these bytes are NaN in every type, and stay.
constexpr int kNaNBytes = 0xff;

/// A limit in A is a T, so whatever lies beyond it changes.
template <class T>
struct Clamp {
  static constexpr std::size_t kBytes = kVectorBytes;
  static constexpr int kPadding = kNaNBytes;
  hn::Vec<hn::ScalableTag<T>> min, max;

  Clamp(double minimum, double maximum)
      : min(hn::Set(hn::ScalableTag<T>(), static_cast<T>(minimum))),
        max(hn::Set(hn::ScalableTag<T>(), static_cast<T>(maximum))) {}

  HWY_INLINE std::int64_t operator()(Byte* p) const {
    const hn::ScalableTag<T> d;
    const auto v = loadVector<T>(p);
    const auto above = hn::Gt(v, max), below = hn::Lt(v, min);
    return replace(d, hn::Or(above, below), v, hn::IfThenElse(above, max, min), p);
  }
};

/// Number of a 16-bit float in ascending order, -0 just below +0.
constexpr std::int16_t order(std::uint16_t bits) {
  return static_cast<std::int16_t>((bits & 0x8000u) != 0 ? bits ^ 0x7fffu : bits);
}

/// 16-bit floats are compared as integers, without widening. A limit rounded to T is the last element to keep: one
/// between the limit and the rounded limit would be replaced by its own bits.
template <class T>
struct ClampShort {
  static constexpr std::size_t kBytes = kVectorBytes;
  static constexpr int kPadding = kNaNBytes;
  using Tag = hn::ScalableTag<std::int16_t>;
  hn::Vec<Tag> min, max, lowest, highest;

  ClampShort(double minimum, double maximum) {
    const Tag d;
    const std::uint16_t low = Element<T>::encode(static_cast<float>(minimum));
    const std::uint16_t high = Element<T>::encode(static_cast<float>(maximum));
    min = hn::Set(d, static_cast<std::int16_t>(low));
    max = hn::Set(d, static_cast<std::int16_t>(high));
    // Neither zero lies beyond a limit of zero, and nothing beyond a limit that is NaN.
    const std::uint16_t lowBits = static_cast<float>(minimum) == 0.0f ? 0x8000u : low;
    const std::uint16_t highBits = static_cast<float>(maximum) == 0.0f ? 0 : high;
    lowest = hn::Set(d, minimum == minimum ? order(lowBits) : std::numeric_limits<std::int16_t>::min());
    highest = hn::Set(d, order(highBits));
  }

  HWY_INLINE std::int64_t operator()(Byte* p) const {
    const Tag d;
    const auto v = loadVector<std::int16_t>(p);
    const auto ordered = hn::Xor(v, hn::And(hn::ShiftRight<15>(v), hn::Set(d, 0x7fff)));
    const auto above = hn::Gt(ordered, highest), below = hn::Lt(ordered, lowest);
    const auto beyond = hn::Or(above, below);
    if (HWY_LIKELY(hn::AllFalse(d, beyond))) return 0;
    const auto magnitude = hn::And(v, hn::Set(d, 0x7fff));
    const auto number = hn::Lt(magnitude, hn::Set(d, static_cast<std::int16_t>(Element<T>::kInfinity + 1)));
    return replace(d, hn::And(beyond, number), v, hn::IfThenElse(above, max, min), p);
  }
};

template <>
struct Clamp<Float16> : ClampShort<Float16> {
  using ClampShort::ClampShort;
};

template <>
struct Clamp<BFloat16> : ClampShort<BFloat16> {
  using ClampShort::ClampShort;
};

template <class T>
std::int64_t clamp(void* x, std::int64_t count, double min, double max) {
  return transform(x, static_cast<std::size_t>(count) * sizeof(T), Clamp<T>(min, max));
}

template <class T>
struct ZeroNonFinite {
  static constexpr std::size_t kBytes = kVectorBytes;
  static constexpr int kPadding = 0;
  using Int = std::make_signed_t<typename Element<T>::Bits>;

  HWY_INLINE std::int64_t operator()(Byte* p) const {
    const hn::ScalableTag<Int> d;
    const auto v = loadVector<Int>(p);
    const auto magnitude = hn::And(v, hn::Set(d, std::numeric_limits<Int>::max()));
    const auto largest = hn::Set(d, static_cast<Int>(Element<T>::kInfinity - 1));
    return replace(d, hn::Gt(magnitude, largest), v, hn::Zero(d), p);
  }
};

template <class T>
std::int64_t zeroNonFinite(void* x, std::int64_t count) {
  return transform(x, static_cast<std::size_t>(count) * sizeof(T), ZeroNonFinite<T>());
}

}  // namespace

const ClampKernels clampKernels = {
    {clamp<double>, clamp<float>, clamp<Float16>, clamp<BFloat16>},
    {zeroNonFinite<double>, zeroNonFinite<float>, zeroNonFinite<Float16>, zeroNonFinite<BFloat16>},
};

GRADCLIP_END_LEVEL;
