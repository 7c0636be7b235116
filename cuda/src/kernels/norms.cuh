// SPDX-License-Identifier: Apache-2.0
// What each norm does with an element, a lane, and two lanes; A is the accumulator of the element type.
#pragma once

#include <type_traits>

#include "common/norms_and_coefficients.hpp"
#include "kernels/device_structs.hpp"
#include "kernels/device_words.cuh"

namespace gradclip {

/// What a power norm raises, and the maximum it divides by first.
struct Powers {
  double p, maximum;
};

/// x without its sign.
template <class A>
__device__ __forceinline__ auto magnitudeBits(A x) {
  using Bits = std::conditional_t<sizeof(A) == 8, unsigned long long, unsigned>;
  return bitCast<Bits>(x) & static_cast<Bits>(~Bits{0} >> 1);
}

/// How lanes of sums come together.
struct Added {
  using Reduced = double;
  __device__ __forceinline__ static Reduced combine(Reduced a, Reduced b) { return a + b; }
  __device__ __forceinline__ static double value(Reduced r) { return r; }
};

template <class A>
struct AbsoluteSum : Added {
  static constexpr NormKind kNorm = NormKind::L1;
  A sum = 0;
  __device__ __forceinline__ void start(A x) { sum = std::fabs(x); }
  __device__ __forceinline__ void add(A x, const Powers& = {}) { sum = sum + std::fabs(x); }
  __device__ __forceinline__ Reduced reduced() const { return static_cast<double>(sum); }
};

template <class A>
struct SquareSum : Added {
  static constexpr NormKind kNorm = NormKind::L2;
  A sum = 0;
  __device__ __forceinline__ void start(A x) { sum = x * x; }
  __device__ __forceinline__ void add(A x, const Powers& = {}) { sum = sum + x * x; }
  __device__ __forceinline__ Reduced reduced() const { return static_cast<double>(sum); }
};

/// Compares bits: those of a NaN are above infinity's, so a NaN stays.
template <class A>
struct Maximum {
  static constexpr NormKind kNorm = NormKind::Inf;
  using Reduced = unsigned long long;
  decltype(magnitudeBits(A{})) bits = 0;
  __device__ __forceinline__ void start(A x) { bits = magnitudeBits(x); }
  __device__ __forceinline__ void add(A x, const Powers& = {}) {
    const auto other = magnitudeBits(x);
    bits = bits > other ? bits : other;
  }
  __device__ __forceinline__ Reduced reduced() const { return bitCast<Reduced>(static_cast<double>(bitCast<A>(bits))); }
  __device__ __forceinline__ static Reduced combine(Reduced a, Reduced b) { return a > b ? a : b; }
  __device__ __forceinline__ static double value(Reduced r) { return bitCast<double>(r); }
};

/// Out of line: inlined for each component of each type, pow would compile for a minute.
__attribute__((noinline)) __device__ inline double raised(double magnitude, const Powers& powers) {
  return powers.maximum == 0.0 ? 0.0 : pow(magnitude / powers.maximum, powers.p);
}

template <class A>
struct PowerSum : Added {
  static constexpr NormKind kNorm = NormKind::Power;
  double sum = 0;
  __device__ __forceinline__ void add(A x, const Powers& powers) {
    sum = sum + raised(static_cast<double>(bitCast<A>(magnitudeBits(x))), powers);
  }
  __device__ __forceinline__ Reduced reduced() const { return sum; }
};

/// Combines `Count` lanes pairwise: neighbours first.
template <int Count, class Lane>
__device__ __forceinline__ typename Lane::Reduced reduceComponents(const Lane* lanes) {
  if constexpr (Count == 1) {
    return lanes[0].reduced();
  } else {
    return Lane::combine(reduceComponents<Count / 2>(lanes), reduceComponents<Count / 2>(lanes + Count / 2));
  }
}

/// Combines the threads of a tile.
template <class Lane>
__device__ __forceinline__ double reduceThreads(typename Lane::Reduced value) {
  return Lane::value(acrossLanes(value, Lane::combine));
}

/// What a tile adds up to.
struct TileSum {
  double sum;
  bool onlyZeros;  ///< nothing but zero bits
};

/// How a tile is added up: at first as it is, then rescaled where its sum leaves the range in which its type adds up
/// exactly enough, or with its non-finite elements as 0.
struct Attempt {
  double factor = 1;
  bool zero = false;

  /// What the sum of rescaled elements is multiplied by; float64 is put in another plane instead.
  __device__ __forceinline__ double after(NormKind norm) const {
    return factor == 1 ? 1 : factor > 1 ? 0x1p-200 : norm == NormKind::L2 ? 0x1p140 : 0x1p70;
  }

  __device__ __forceinline__ unsigned plane() const { return factor == 1 ? kMiddle : factor > 1 ? kLow : kHigh; }

  /// Changes to the attempt that must follow one with this sum; false where it is good.
  __device__ __forceinline__ bool next(NormKind norm, std::int32_t dtype, const TileSum& tile, bool mayZero) {
    if (factor == 1 && !tile.onlyZeros) {
      factor = factorFor(norm, static_cast<DType>(dtype), tile.sum);
      if (factor != 1) return true;
    }
    if (!mayZero || zero || isFinite(tile.sum)) return false;
    factor = 1;
    return zero = true;
  }

  /// Whether a sum is within the range in which its type adds up exactly enough.
  __device__ __forceinline__ static bool isInRange(NormKind norm, DType dtype, double sum) {
    const bool wide = dtype == DType::Float64;
    if (!(norm == NormKind::L2 || norm == NormKind::L1) || dtype == DType::Float16) return true;
    return sum <= (wide ? 0x1p900 : 0x1p120) && (norm == NormKind::L1 || sum >= (wide ? 0x1p-900 : 0x1p-80));
  }

 private:
  __device__ __forceinline__ static double factorFor(NormKind norm, DType dtype, double sum) {
    const bool wide = dtype == DType::Float64;
    return isInRange(norm, dtype, sum) ? 1 : sum < 1 ? (wide ? 0x1p600 : 0x1p100) : (wide ? 0x1p-600 : 0x1p-70);
  }
};

}  // namespace gradclip
