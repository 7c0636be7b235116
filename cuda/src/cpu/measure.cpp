// SPDX-License-Identifier: Apache-2.0
// Levels 1 to 3 of the canonical reduction; compiled once per SIMD level.
#include "cpu/level_kernels.hpp"
#include "cpu/lanes.hpp"
#include "cpu/maximum.hpp"
#include "cpu/tree.hpp"

GRADCLIP_BEGIN_LEVEL
namespace {

template <class T, NormKind Norm, bool Rescale>
double sumTile(const Byte* x, std::size_t bytes, typename Element<T>::A factor) {
  if (bytes <= kFewElements * sizeof(T)) {
    return sumFew<T, Norm>(x, static_cast<int>(bytes / sizeof(T)), factor);
  }
  alignas(64) typename Element<T>::A lanes[kLanes<T>];
  sumStripes<T, Norm, Rescale>(x, bytes / kStripeBytes, factor, lanes);
  const std::size_t rest = bytes % kStripeBytes;
  if (rest != 0) sumLastStripe<T, Norm, Rescale>(x + (bytes - rest), rest, factor, lanes);
  return sumLanes(lanes, T{});
}

/// Out of line: rare, and the usual path stays small.
template <class T, NormKind Norm>
HWY_NOINLINE double sumRescaledTile(const Byte* x, std::size_t bytes, double factor) {
  return sumTile<T, Norm, true>(x, bytes, static_cast<typename Element<T>::A>(factor));
}

/// A tile's sum and the plane it belongs to.
struct Partial {
  double sum;
  unsigned plane;
};

/// A sum outside the range its type adds up exactly enough in is computed again, rescaled; float16 cannot leave it.
template <class T, NormKind Norm>
HWY_INLINE Partial repaired(const Byte* x, std::size_t bytes, double sum) {
  constexpr bool kL2 = Norm == NormKind::L2;
  if constexpr (sizeof(T) == 8) {
    if (kL2 && sum < 0x1p-900) {
      const double low = sumRescaledTile<T, Norm>(x, bytes, 0x1p600);
      return {low, low == 0.0 ? 0u : kLowPlane};
    }
    if (!(sum <= 0x1p900)) return {sumRescaledTile<T, Norm>(x, bytes, 0x1p-600), kHighPlane};
  } else if constexpr (!std::is_same_v<T, Float16>) {
    if (kL2 && sum < 0x1p-80) return {sumRescaledTile<T, Norm>(x, bytes, 0x1p100) * 0x1p-200, 0};
    if (!(sum <= 0x1p120)) return {sumRescaledTile<T, Norm>(x, bytes, 0x1p-70) * (kL2 ? 0x1p140 : 0x1p70), 0};
  }
  return {sum, 0};
}

template <class T, NormKind Norm>
HWY_INLINE Partial measureTile(const Byte* x, std::size_t bytes) {
  if constexpr (Norm == NormKind::Inf) {
    return {static_cast<double>(Element<T>::decode(maximumBits<T>(x, bytes))), 0};
  } else {
    return repaired<T, Norm>(x, bytes, sumTile<T, Norm, false>(x, bytes, 1));
  }
}

template <class T, NormKind Norm>
unsigned measure(const void* x, std::int64_t count, double* partials, std::int64_t planeStride) {
  const auto* from = static_cast<const Byte*>(x);
  std::int64_t bytes = count * static_cast<std::int64_t>(sizeof(T));
  unsigned planes = 0;
  for (; bytes > 0; bytes -= kTileBytes, from += kTileBytes, ++partials) {
    const Partial partial = bytes >= kTileBytes ? measureTile<T, Norm>(from, kTileBytes)
                                                : measureTile<T, Norm>(from, static_cast<std::size_t>(bytes));
    if constexpr (sizeof(T) == 8) {
      partials[0] = partial.plane == 0 ? partial.sum : 0.0;
      partials[planeStride] = partial.plane == kLowPlane ? partial.sum : 0.0;
      partials[2 * planeStride] = partial.plane == kHighPlane ? partial.sum : 0.0;
    } else {
      *partials = partial.sum;
    }
    planes |= partial.plane;
  }
  return planes;
}

}  // namespace

const MeasureKernels measureKernels = {{
    {measure<double, NormKind::L1>, measure<float, NormKind::L1>, measure<Float16, NormKind::L1>,
     measure<BFloat16, NormKind::L1>},
    {measure<double, NormKind::L2>, measure<float, NormKind::L2>, measure<Float16, NormKind::L2>,
     measure<BFloat16, NormKind::L2>},
    {measure<double, NormKind::Inf>, measure<float, NormKind::Inf>, measure<Float16, NormKind::Inf>,
     measure<BFloat16, NormKind::Inf>},
}};

GRADCLIP_END_LEVEL;
