// SPDX-License-Identifier: Apache-2.0
// From sums to norms and coefficients, in double, on the host and on the device: the arithmetic of
// dev.gradclip.internal.reduce.ScaledNorm and dev.gradclip.internal.reduce.PowerNorm.
// NOINLINE: what runs once a segment is called, where the kernels would hold it a dozen times. decide.cu takes nvcc 12
// s an architecture instead of 60, for a third of the code.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/elements.hpp"
#include "gradclip/cuda.hpp"
#include "gradclip/norm.hpp"

namespace gradclip {

GRADCLIP_HD inline bool isFinite(double x) { return x - x == 0.0; }

/// 2^exponent for -1022 to 1023.
GRADCLIP_HD inline double powerOfTwo(int exponent) {
  return bitCast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

/// Exponent of a positive normal number.
GRADCLIP_HD inline int exponentOf(double x) {
  return static_cast<int>(bitCast<std::uint64_t>(x) >> 52 & 0x7ffu) - 1023;
}

/// x·2^exponent, rounded once: the odd part of the exponent goes first, so that only one step can be inexact.
GRADCLIP_HD GRADCLIP_NOINLINE inline double scaleBy(double x, int exponent) {
  exponent = exponent > 2200 ? 2200 : exponent < -2200 ? -2200 : exponent;
  const int rest = exponent % 512;
  x *= powerOfTwo(rest);
  for (int left = exponent - rest; left > 0; left -= 512) x *= 0x1p512;
  for (int left = exponent - rest; left < 0; left += 512) x *= 0x1p-512;
  return x;
}

/// A maximum that keeps NaN.
GRADCLIP_HD inline double maximum(double a, double b) { return a > b || a != a ? a : b; }

/// What a segment or a group adds up to, per plane: `low` of x·2^600, `middle` of x, `high` of x·2^-600.
struct Sums {
  double low, middle, high;
};

/// A norm as mantissa·2^exponent, so that one beyond the largest double still gives the right coefficient.
struct ScaledNorm {
  double mantissa;
  int exponent;

  /// Whether every gradient was finite; also true of a finite norm that no double holds.
  GRADCLIP_HD bool finite() const { return isFinite(mantissa); }

  GRADCLIP_HD double value() const {
    if (mantissa != mantissa) return notANumber();
    return exponent == 0 ? mantissa : scaleBy(mantissa, exponent);
  }

  /// The norm times a coefficient, as a double: right where the norm alone exceeds the largest one.
  GRADCLIP_HD double valueTimes(double coefficient) const {
    const double product = mantissa * coefficient;
    if (product != product) return notANumber();
    return exponent == 0 ? product : scaleBy(product, exponent);
  }

  /// min(1, maxNorm / (norm / divisor + epsilon)); 1 when maxNorm is infinite or nothing is to be scaled; NaN for a NaN
  /// norm.
  GRADCLIP_HD double coefficient(double maxNorm, double epsilon, double divisor = 1.0) const {
    if (maxNorm > 0x1.fffffffffffffp1023 || (mantissa / divisor == 0.0 && epsilon == 0.0)) return 1.0;
    const double q = quotient(maxNorm, epsilon, divisor);
    return q > 1.0 ? 1.0 : q;
  }

  /// maxNorm / (norm / divisor + epsilon).
  GRADCLIP_HD double quotient(double maxNorm, double epsilon, double divisor) const {
    const double m = mantissa / divisor;
    if (exponent > 0) return scaleBy(maxNorm / (m + scaleBy(epsilon, -exponent)), -exponent);
    const double sum = (exponent == 0 ? m : scaleBy(m, exponent)) + epsilon;
    if (exponent == 0 || sum >= 0x1p-1022) return maxNorm / sum;
    return scaleBy(maxNorm, -exponent) / (m + scaleBy(epsilon, -exponent));
  }

  /// The norm of elements that are all multiplied by a factor above 0.
  GRADCLIP_HD GRADCLIP_NOINLINE ScaledNorm times(double factor) const {
    const double product = mantissa * factor;
    if (factor == 1.0 || mantissa == 0.0 || !isFinite(mantissa)) return *this;
    if (product >= 0x1p-1022 && product <= 0x1.fffffffffffffp1023) return {product, exponent};
    // Beyond what a double holds: the exponents are taken out first.
    const bool low = mantissa < 0x1p-1022, lowFactor = factor < 0x1p-1022;
    const double raised = low ? mantissa * 0x1p100 : mantissa, raisedFactor = lowFactor ? factor * 0x1p100 : factor;
    const int own = exponentOf(raised), its = exponentOf(raisedFactor);
    return {scaleBy(raised, -own) * scaleBy(raisedFactor, -its),
            exponent + own + its - (low ? 100 : 0) - (lowFactor ? 100 : 0)};
  }
};

GRADCLIP_HD inline ScaledNorm normL2(const Sums& sums) {
  if (sums.high != 0.0) return {sqrt(sums.high + sums.middle * 0x1p-600 * 0x1p-600), 600};
  if (sums.low != 0.0 && sums.middle == 0.0) return {sqrt(sums.low), -600};
  return {sqrt(sums.middle + sums.low * 0x1p-600 * 0x1p-600), 0};
}

GRADCLIP_HD inline ScaledNorm normL1(const Sums& sums) {
  if (sums.high != 0.0) return {sums.high + sums.middle * 0x1p-600, 600};
  return {sums.middle, 0};
}

/// The largest of several segments' maxima as unit·2^exponent with unit in [1, 2): what a power norm is taken relative
/// to.
struct PowerUnit {
  double unit;
  int exponent;

  /// `largest` is finite and above 0.
  GRADCLIP_HD explicit PowerUnit(double largest) {
    exponent = largest < 0x1p-1022 ? -1023 : exponentOf(largest);
    unit = scaleBy(largest, -exponent);
  }

  /// What a segment adds: its maximum relative to the largest, to the p, times its sum.
  GRADCLIP_HD GRADCLIP_NOINLINE double term(double p, double segmentMaximum, double sum) const {
    return segmentMaximum > 0.0 ? pow(scaleBy(segmentMaximum, -exponent) / unit, p) * sum : 0.0;
  }
};

/// The p-norm from the largest maximum and the sum of PowerUnit::term.
GRADCLIP_HD GRADCLIP_NOINLINE inline ScaledNorm normPower(double p, double largest, double sum) {
  if (largest == 0.0 || !isFinite(largest)) return {largest, 0};
  const PowerUnit at(largest);
  const double root = pow(sum, 1.0 / p);
  if (root < 0x1p1000) {
    const double value = at.unit * root;
    // Out of a double's range only where the result itself is: then it stays scaled.
    const bool fits = at.exponent + exponentOf(value) < 1023 && at.exponent > -1000;
    return fits ? ScaledNorm{scaleBy(value, at.exponent), 0} : ScaledNorm{value, at.exponent};
  }
  const double log2 = log(sum) / 0.6931471805599453 / p;
  const double whole = floor(log2 < 0x1p30 ? log2 : 0x1p30);
  return {at.unit * pow(2.0, log2 - whole), static_cast<int>(whole) + at.exponent};
}

/// The norm of what was folded; `largest` matters to Power alone, whose sum is in `middle`.
GRADCLIP_HD inline ScaledNorm normOf(NormKind norm, double p, const Sums& sums, double largest) {
  switch (norm) {
    case NormKind::L1: return normL1(sums);
    case NormKind::L2: return normL2(sums);
    case NormKind::Inf: return {sums.middle, 0};
    case NormKind::Power: return normPower(p, largest, sums.middle);
  }
  return {notANumber(), 0};
}

/// Of Form::Normalize: the coefficient where norm > max.
GRADCLIP_HD inline double normalized(const NormLimit& limit, const ScaledNorm& norm) {
  const double value = norm.value();
  if (value == 0.0 || value <= limit.max) return 1.0;
  const double q = norm.quotient(limit.length, 0.0, 1.0);
  return q > 0x1p127 ? 0x1p127 : q;
}

/// Of Form::Adaptive: max is what the weight's norm allows.
GRADCLIP_HD inline double adapted(const ScaledNorm& norm, double max) {
  const double value = norm.value();
  if (value < max || (value == 0.0 && max == 0.0)) return 1.0;
  return value < 1e-6 ? max / 1e-6 : norm.quotient(max, 0.0, 1.0);
}

/// What unscaled gradients are multiplied by; 1 where all are 0, which epsilon would otherwise clip. A norm of 0 that
/// is `given` says nothing of the elements. `elements` matters to Average and Rms, `weightNorm` to Adaptive.
GRADCLIP_HD GRADCLIP_NOINLINE inline double coefficientOf(const NormLimit& limit, const ScaledNorm& norm,
                                                          double elements, double weightNorm, bool given = false) {
  if (limit.max > 0x1.fffffffffffffp1023 || (norm.mantissa == 0.0 && !given)) return 1.0;
  if (!norm.finite()) {
    if (limit.atNonFinite == AtNonFinite::NaN) return notANumber();
    if (limit.atNonFinite == AtNonFinite::Comparison && norm.mantissa != norm.mantissa) return 1.0;
  }
  const double count = elements > 1.0 ? elements : 1.0;
  switch (limit.form) {
    case Form::Clip: return norm.coefficient(limit.max, limit.epsilon);
    case Form::Average: return norm.coefficient(limit.max, limit.epsilon, count);
    case Form::Rms: return norm.coefficient(limit.max, limit.epsilon, sqrt(count));
    case Form::Normalize: return normalized(limit, norm);
    case Form::Adaptive: return adapted(norm, limit.max * maximum(weightNorm, limit.epsilon));
  }
  return notANumber();
}

/// What the gradients are multiplied by as they are: the largest double at most, for infinity would make NaN of zeros.
GRADCLIP_HD inline double ofScaled(double coefficient, double inverseScale) {
  const double product = coefficient * inverseScale;
  return product > 0x1.fffffffffffffp1023 ? 0x1.fffffffffffffp1023 : product;
}

/// Whether a coefficient changes elements that it multiplies in float, in double.
GRADCLIP_HD inline bool changesFloat(double coefficient) { return static_cast<float>(coefficient) != 1.0f; }
GRADCLIP_HD inline bool changesDouble(double coefficient) { return coefficient != 1.0; }

}  // namespace gradclip
