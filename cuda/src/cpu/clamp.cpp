// SPDX-License-Identifier: Apache-2.0
// Replaces single elements in place: clamp and zeroNonFinite; compiled once per SIMD level.
#include <limits>

#include "cpu/level_kernels.hpp"
#include "cpu/transform.hpp"

GRADCLIP_BEGIN_LEVEL
namespace {

/// Vectors looked at together. One element in a hundred changes one vector of 16 floats in seven, which a branch for
/// each foresees badly: clamping 16 Mi floats in two threads took 4.6 ms by single vectors, 4.1 by eight.
constexpr std::size_t kBlock = 8;

/// Stores where the mask is set, and nothing where it is not; returns in how many lanes.
template <class D, class V, class M>
HWY_INLINE std::int64_t store(D d, M mask, V v, V replaced, Byte* p) {
#if HWY_CAP_GE512
  (void)v;
  hn::BlendedStore(replaced, mask, d, reinterpret_cast<hn::TFromD<D>*>(p));
#else
  if (hn::AllFalse(d, mask)) return 0;
  storeVector(hn::IfThenElse(mask, replaced, v), p);
#endif
  return static_cast<std::int64_t>(hn::CountTrue(d, mask));
}

/// Replaces what Choice::mask picks by what Choice::replaced says.
template <class Choice>
struct Replace : Choice {
  static constexpr std::size_t kBytes = kVectorBytes;
  using Choice::Choice;
  using T = typename Choice::Lane;
  using V = hn::Vec<hn::ScalableTag<T>>;

  /// One vector.
  HWY_INLINE std::int64_t operator()(Byte* p) const {
    const hn::ScalableTag<T> d;
    const V v = loadVector<T>(p);
    const auto mask = this->mask(v);
    if (HWY_LIKELY(hn::AllFalse(d, mask))) return 0;
    return store(d, mask, v, this->replaced(v), p);
  }

  /// kBlock vectors.
  HWY_INLINE std::int64_t block(Byte* p) const {
    const hn::ScalableTag<T> d;
    V v[kBlock];
    auto any = this->mask(v[0] = loadVector<T>(p));
#pragma GCC unroll 8
    for (std::size_t i = 1; i < kBlock; ++i) {
      any = hn::Or(any, this->mask(v[i] = loadVector<T>(p + i * kVectorBytes)));
    }
    if (hn::AllFalse(d, any)) return 0;
    std::int64_t changed = 0;
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kBlock; ++i) {
      changed += store(d, this->mask(v[i]), v[i], this->replaced(v[i]), p + i * kVectorBytes);
    }
    return changed;
  }
};

template <class Choice>
std::int64_t replace(void* x, std::size_t bytes, const Replace<Choice>& operation) {
  constexpr std::size_t kBlockBytes = kBlock * kVectorBytes;
  auto* p = static_cast<Byte*>(x);
  std::int64_t changed = 0;
  for (; bytes >= kBlockBytes; bytes -= kBlockBytes, p += kBlockBytes) changed += operation.block(p);
  return changed + transform(p, bytes, operation);
}

/// Elements of these bytes are NaN in every type, and stay.
constexpr int kNaNBytes = 0xff;

/// A limit in A is a T, so whatever lies beyond it changes.
template <class T>
struct Clamp {
  static constexpr int kPadding = kNaNBytes;
  using Lane = T;
  using V = hn::Vec<hn::ScalableTag<T>>;
  V min, max;

  Clamp(double minimum, double maximum)
      : min(hn::Set(hn::ScalableTag<T>(), limitIn<T>(minimum))),
        max(hn::Set(hn::ScalableTag<T>(), limitIn<T>(maximum))) {}

  HWY_INLINE auto mask(V v) const { return hn::Or(hn::Gt(v, max), hn::Lt(v, min)); }
  HWY_INLINE V replaced(V v) const { return hn::IfThenElse(hn::Gt(v, max), max, min); }
};

/// Number of a 16-bit float in ascending order, -0 just below +0.
constexpr std::int16_t order(std::uint16_t bits) {
  return static_cast<std::int16_t>((bits & 0x8000u) != 0 ? bits ^ 0x7fffu : bits);
}

/// 16-bit floats are compared as integers, without widening. A limit rounded to T is the last element to keep: one
/// between the limit and the rounded limit would be replaced by its own bits.
template <class T>
struct ClampShort {
  static constexpr int kPadding = kNaNBytes;
  using Lane = std::int16_t;
  using Tag = hn::ScalableTag<Lane>;
  using V = hn::Vec<Tag>;
  V min, max, lowest, highest;

  ClampShort(double minimum, double maximum) {
    const Tag d;
    const std::uint16_t low = Element<T>::encode(limitIn<T>(minimum));
    const std::uint16_t high = Element<T>::encode(limitIn<T>(maximum));
    min = hn::Set(d, static_cast<std::int16_t>(low));
    max = hn::Set(d, static_cast<std::int16_t>(high));
    // Neither zero lies beyond a limit of zero, and nothing beyond a limit that is NaN.
    const std::uint16_t lowBits = static_cast<float>(minimum) == 0.0f ? 0x8000u : low;
    const std::uint16_t highBits = static_cast<float>(maximum) == 0.0f ? 0 : high;
    lowest = hn::Set(d, minimum == minimum ? order(lowBits) : std::numeric_limits<std::int16_t>::min());
    highest = hn::Set(d, order(highBits));
  }

  static HWY_INLINE V ordered(V v) { return hn::Xor(v, hn::And(hn::ShiftRight<15>(v), hn::Set(Tag(), 0x7fff))); }

  HWY_INLINE auto mask(V v) const {
    const auto magnitude = hn::And(v, hn::Set(Tag(), 0x7fff));
    const auto number = hn::Lt(magnitude, hn::Set(Tag(), static_cast<Lane>(Element<T>::kInfinity + 1)));
    return hn::And(hn::Or(hn::Gt(ordered(v), highest), hn::Lt(ordered(v), lowest)), number);
  }

  HWY_INLINE V replaced(V v) const { return hn::IfThenElse(hn::Gt(ordered(v), highest), max, min); }
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
  return replace(x, static_cast<std::size_t>(count) * sizeof(T), Replace<Clamp<T>>(min, max));
}

template <class T>
struct NonFiniteToZero {
  static constexpr int kPadding = 0;
  using Lane = std::make_signed_t<typename Element<T>::Bits>;
  using Tag = hn::ScalableTag<Lane>;
  using V = hn::Vec<Tag>;

  HWY_INLINE auto mask(V v) const {
    const auto magnitude = hn::And(v, hn::Set(Tag(), std::numeric_limits<Lane>::max()));
    return hn::Gt(magnitude, hn::Set(Tag(), static_cast<Lane>(Element<T>::kInfinity - 1)));
  }

  HWY_INLINE V replaced(V) const { return hn::Zero(Tag()); }
};

template <class T>
std::int64_t zeroNonFinite(void* x, std::int64_t count) {
  return replace(x, static_cast<std::size_t>(count) * sizeof(T), Replace<NonFiniteToZero<T>>());
}

}  // namespace

const ClampKernels clampKernels = {
    {clamp<double>, clamp<float>, clamp<Float16>, clamp<BFloat16>},
    {zeroNonFinite<double>, zeroNonFinite<float>, zeroNonFinite<Float16>, zeroNonFinite<BFloat16>},
};

GRADCLIP_END_LEVEL;
