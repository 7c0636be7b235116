// SPDX-License-Identifier: Apache-2.0
// The arithmetic of one weight's update, for every backend: the same + - * / and square roots in one order as
// dev.gradclip.internal.update.JavaUpdate. Nothing here may be contracted to fused multiply-adds.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/elements.hpp"

namespace gradclip {

/// The numbers of one step, from Java: dev.gradclip.internal.update.UpdateTable's head.
struct UpdateNumbers {
  std::int32_t form;   ///< UpdateForm
  std::int32_t flags;  ///< kNesterov, kDecoupled, kZeroGradients, kMasterWeights
  double learningRate;
  double weightDecay;
  double momentum;     ///< of SGD
  double dampening;    ///< of SGD
  double beta1, beta2, epsilon;
};

static_assert(sizeof(UpdateNumbers) == 64, "layout that Java writes");

enum class UpdateForm : std::int32_t { Sgd = 0, SgdMomentum = 1, Adam = 2 };

constexpr std::int32_t kNesterov = 1;
constexpr std::int32_t kDecoupled = 2;
constexpr std::int32_t kZeroGradients = 4;
constexpr std::int32_t kMasterWeights = 8;

/// The state that a form keeps for each weight, without master weights.
GRADCLIP_HD constexpr int statesOf(UpdateForm form) { return static_cast<int>(form); }

/// The numbers of one segment in a step: a row of dev.gradclip.internal.update.UpdateTable.
struct SegmentUpdate {
  double coefficient;  ///< of the gradient
  double min, max;     ///< limits of the gradient, after the coefficient
  double stepSize;     ///< of Adam: learningRate / (1 - beta1^t)
  double rootCorrection2;  ///< of Adam: the square root of 1 - beta2^t
  double first;        ///< 1 if the segment's tensor has had no step before, else 0
};

static_assert(sizeof(SegmentUpdate) == 48, "layout that Java writes");

/// The canonical NaN, which is what NVIDIA's float arithmetic makes.
GRADCLIP_HD inline float canonical(float x) { return x == x ? x : bitCast<float>(std::uint32_t{0x7fffffffu}); }
GRADCLIP_HD inline double canonical(double x) {
  return x == x ? x : bitCast<double>(std::uint64_t{0x7ff8000000000000u});
}

GRADCLIP_HD inline float rootOf(float x) { return sqrtf(x); }
GRADCLIP_HD inline double rootOf(double x) { return sqrt(x); }

/// The numbers of a step for one segment, in the type A of the arithmetic: double where weights are FLOAT64, else
/// float.
template <class A>
struct UpdateStep {
  A coefficient, min, max;
  A decay, weightDecay;            // decay: 1 - learningRate * weightDecay, of decoupled decay
  A rate, momentum, undamped;      // of SGD; undamped: 1 - dampening
  A keep2, gain1, gain2, epsilon;  // of Adam; keep2: beta2, gain: 1 - beta
  A stepSize, rootCorrection2;
  double exact;  // the coefficient before it is rounded
  bool first, nesterov, decoupled, decays;

  GRADCLIP_HD UpdateStep(const UpdateNumbers& n, const SegmentUpdate& s)
      : coefficient(static_cast<A>(s.coefficient)),
        min(static_cast<A>(s.min)),
        max(static_cast<A>(s.max)),
        decay(static_cast<A>(1.0 - n.learningRate * n.weightDecay)),
        weightDecay(static_cast<A>(n.weightDecay)),
        rate(static_cast<A>(n.learningRate)),
        momentum(static_cast<A>(n.momentum)),
        undamped(static_cast<A>(1.0 - n.dampening)),
        keep2(static_cast<A>(n.beta2)),
        gain1(static_cast<A>(1.0 - n.beta1)),
        gain2(static_cast<A>(1.0 - n.beta2)),
        epsilon(static_cast<A>(n.epsilon)),
        stepSize(static_cast<A>(s.stepSize)),
        rootCorrection2(static_cast<A>(s.rootCorrection2)),
        exact(s.coefficient),
        first(s.first != 0),
        nesterov((n.flags & kNesterov) != 0),
        decoupled((n.flags & kDecoupled) != 0),
        decays(n.weightDecay != 0) {}

  /// The gradient times the coefficient; a coefficient that no float holds well multiplies in double.
  GRADCLIP_HD A clipped(A g) const {
    if (coefficient == A(1)) return g;
    if (sizeof(A) == 4 && needsDouble(exact)) return static_cast<A>(g * exact);
    return g * coefficient;
  }

  /// Clamps; returns true if the gradient changed.
  GRADCLIP_HD bool clamp(A& g) const {
    if (g > max) {
      g = max;
      return true;
    }
    if (g < min) {
      g = min;
      return true;
    }
    return false;
  }

  GRADCLIP_HD A decayed(A g, A p) const { return decays && !decoupled ? g + weightDecay * p : g; }

  GRADCLIP_HD void sgd(A g, A& p) const { p = canonical(p - rate * decayed(g, p)); }

  GRADCLIP_HD void sgdMomentum(A g, A& p, A& b) const {
    g = decayed(g, p);
    b = canonical(first ? g : momentum * b + undamped * g);
    const A direction = nesterov ? g + momentum * b : b;
    p = canonical(p - rate * direction);
  }

  GRADCLIP_HD void adam(A g, A& p, A& m, A& v) const {
    if (decays && decoupled) p = p * decay;
    g = decayed(g, p);
    m = canonical(m + (g - m) * gain1);
    v = canonical(keep2 * v + (gain2 * g) * g);
    const A root = rootOf(v) / rootCorrection2 + epsilon;
    p = canonical(p - (stepSize * m) / root);
  }
};

}  // namespace gradclip
