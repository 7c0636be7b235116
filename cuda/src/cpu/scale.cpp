// SPDX-License-Identifier: Apache-2.0
// Multiplies by a coefficient in place; compiled once per SIMD level.
#include "cpu/level_kernels.hpp"
#include "cpu/transform.hpp"

GRADCLIP_BEGIN_LEVEL
namespace {

/// Multiplies kBytes at p by the coefficient.
template <class T>
struct Scale {
  static constexpr std::size_t kBytes = kVectorBytes;
  static constexpr int kPadding = 0;
  hn::Vec<hn::ScalableTag<T>> coefficient;

  HWY_INLINE int operator()(Byte* p) const {
    const hn::ScalableTag<T> d;
    const auto quiet = hn::BitCast(d, hn::Set(hn::ScalableTag<typename Element<T>::Bits>(), Element<T>::kNaN));
    const auto product = hn::Mul(loadVector<T>(p), coefficient);
    storeVector(hn::IfThenElse(hn::IsNaN(product), quiet, product), p);
    return 1;
  }
};

template <>
struct Scale<Float16> {
  static constexpr std::size_t kBytes = kVectorBytes / 2;
  static constexpr int kPadding = 0;
  FloatVector coefficient;

  HWY_INLINE int operator()(Byte* p) const {
    storeHalves(hn::Mul(loadHalves(p), coefficient), p);
    return 1;
  }
};

template <>
struct Scale<BFloat16> {
  static constexpr std::size_t kBytes = kVectorBytes;
  static constexpr int kPadding = 0;
  FloatVector coefficient;

  HWY_INLINE int operator()(Byte* p) const {
    const auto words = loadVector<std::uint32_t>(p);
    const auto even = hn::Mul(evenBfloats(words), coefficient);
    const auto odd = hn::Mul(oddBfloats(words), coefficient);
    storeVector(joinBfloats(even, odd), p);
    return 1;
  }
};

constexpr std::int64_t kScalarElements = 8;

template <class T>
void scale(void* x, std::int64_t count, double coefficient) {
  using A = typename Element<T>::A;
  const A rounded = static_cast<A>(coefficient);
  if (rounded == A(1)) return;
  // Coefficients that need doubles are too rare for vectors, and a padded copy costs more than a few elements.
  if (needsDouble(coefficient) || count <= kScalarElements) {
    for (std::int64_t i = 0; i < count; ++i) storeBits<T>(x, i, scaled<T>(loadBits<T>(x, i), coefficient));
    return;
  }
  const Scale<T> operation{hn::Set(hn::ScalableTag<A>(), rounded)};
  transform(x, static_cast<std::size_t>(count) * sizeof(T), operation);
}

}  // namespace

const ScaleKernels scaleKernels = {{scale<double>, scale<float>, scale<Float16>, scale<BFloat16>}};

GRADCLIP_END_LEVEL;
