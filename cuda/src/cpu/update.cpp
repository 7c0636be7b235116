// SPDX-License-Identifier: Apache-2.0
// Updates weights and their state from clipped gradients: common/update.hpp in vectors; compiled once per SIMD level.
#include "common/update.hpp"

#include <algorithm>

#include "cpu/level_kernels.hpp"
#include "cpu/vectors.hpp"

GRADCLIP_BEGIN_LEVEL
namespace {

/// Elements that are widened at a time, where a type is not that of the arithmetic: 12 KiB of scratch stay in the
/// nearest cache.
constexpr std::int64_t kBlock = 1024;

template <class A>
A loadOne(const Byte* p, std::int64_t i) {
  A value;
  std::memcpy(&value, p + i * static_cast<std::int64_t>(sizeof(A)), sizeof value);
  return value;
}

template <class A>
void storeOne(A value, Byte* p, std::int64_t i) {
  std::memcpy(p + i * static_cast<std::int64_t>(sizeof(A)), &value, sizeof value);
}

/// One element, as common/update.hpp has it.
template <UpdateForm Form, class A>
std::int64_t updateOne(const UpdateStep<A>& u, const Byte* g, Byte* p, Byte* s1, Byte* s2, std::int64_t i) {
  A x = u.clipped(loadOne<A>(g, i));
  const std::int64_t changed = u.clamp(x) ? 1 : 0;
  A w = loadOne<A>(p, i);
  if constexpr (Form == UpdateForm::Sgd) {
    u.sgd(x, w);
  } else {
    A a = loadOne<A>(s1, i);
    if constexpr (Form == UpdateForm::SgdMomentum) {
      u.sgdMomentum(x, w, a);
    } else {
      A b = loadOne<A>(s2, i);
      u.adam(x, w, a, b);
      storeOne(b, s2, i);
    }
    storeOne(a, s1, i);
  }
  storeOne(w, p, i);
  return changed;
}

template <class A>
using VectorOf = hn::Vec<hn::ScalableTag<A>>;

template <class A>
HWY_INLINE VectorOf<A> canonicalVector(VectorOf<A> v) {
  const hn::ScalableTag<A> d;
  const auto quiet = hn::BitCast(d, hn::Set(hn::ScalableTag<typename Element<A>::Bits>(), Element<A>::kNaN));
  return hn::IfThenElse(hn::IsNaN(v), quiet, v);
}

/// All of a segment's numbers in vectors; UpdateStep's order of operations.
template <UpdateForm Form, class A>
struct UpdateVectors {
  using D = hn::ScalableTag<A>;
  using V = VectorOf<A>;
  V coefficient, min, max, decay, weightDecay, rate, momentum, undamped, keep2, gain1, gain2, epsilon, stepSize, root;
  bool multiplies, limits, first, nesterov, coupled, decoupled;

  explicit UpdateVectors(const UpdateStep<A>& u)
      : coefficient(hn::Set(D(), u.coefficient)),
        min(hn::Set(D(), u.min)),
        max(hn::Set(D(), u.max)),
        decay(hn::Set(D(), u.decay)),
        weightDecay(hn::Set(D(), u.weightDecay)),
        rate(hn::Set(D(), u.rate)),
        momentum(hn::Set(D(), u.momentum)),
        undamped(hn::Set(D(), u.undamped)),
        keep2(hn::Set(D(), u.keep2)),
        gain1(hn::Set(D(), u.gain1)),
        gain2(hn::Set(D(), u.gain2)),
        epsilon(hn::Set(D(), u.epsilon)),
        stepSize(hn::Set(D(), u.stepSize)),
        root(hn::Set(D(), u.rootCorrection2)),
        multiplies(!(u.coefficient == A(1))),
        limits(u.min > -std::numeric_limits<A>::infinity() || u.max < std::numeric_limits<A>::infinity()),
        first(u.first),
        nesterov(u.nesterov),
        coupled(u.decays && !u.decoupled),
        decoupled(u.decays && u.decoupled) {}

  HWY_INLINE std::int64_t operator()(const Byte* g, Byte* p, Byte* s1, Byte* s2) const {
    const D d;
    std::int64_t changed = 0;
    V x = loadVector<A>(g);
    if (multiplies) x = hn::Mul(x, coefficient);
    if (limits) {
      const auto above = hn::Gt(x, max);
      const auto below = hn::Lt(x, min);
      changed = static_cast<std::int64_t>(hn::CountTrue(d, hn::Or(above, below)));
      x = hn::IfThenElse(above, max, hn::IfThenElse(below, min, x));
    }
    V w = loadVector<A>(p);
    if (Form == UpdateForm::Adam && decoupled) w = hn::Mul(w, decay);
    if (coupled) x = hn::Add(x, hn::Mul(weightDecay, w));
    if constexpr (Form == UpdateForm::Sgd) {
      w = hn::Sub(w, hn::Mul(rate, x));
    } else if constexpr (Form == UpdateForm::SgdMomentum) {
      const V b = canonicalVector<A>(first ? x : hn::Add(hn::Mul(momentum, loadVector<A>(s1)), hn::Mul(undamped, x)));
      storeVector(b, s1);
      w = hn::Sub(w, hn::Mul(rate, nesterov ? hn::Add(x, hn::Mul(momentum, b)) : b));
    } else {
      const V before = loadVector<A>(s1);
      const V m = canonicalVector<A>(hn::Add(before, hn::Mul(hn::Sub(x, before), gain1)));
      const V v = canonicalVector<A>(hn::Add(hn::Mul(keep2, loadVector<A>(s2)), hn::Mul(hn::Mul(gain2, x), x)));
      storeVector(m, s1);
      storeVector(v, s2);
      const V divisor = hn::Add(hn::Div(hn::Sqrt(v), root), epsilon);
      w = hn::Sub(w, hn::Div(hn::Mul(stepSize, m), divisor));
    }
    storeVector(canonicalVector<A>(w), p);
    return changed;
  }
};

template <UpdateForm Form, class A>
std::int64_t updateRun(const UpdateStep<A>& u, const Byte* g, Byte* p, Byte* s1, Byte* s2, std::int64_t count) {
  constexpr std::int64_t kWidth = static_cast<std::int64_t>(kVectorBytes / sizeof(A));
  std::int64_t changed = 0;
  std::int64_t i = 0;
  // Coefficients that need doubles are too rare for vectors.
  if (sizeof(A) == 8 || !needsDouble(u.exact)) {
    const UpdateVectors<Form, A> vectors(u);
    for (; i + kWidth <= count; i += kWidth) {
      const std::int64_t at = i * static_cast<std::int64_t>(sizeof(A));
      changed += vectors(g + at, p + at, s1 == nullptr ? s1 : s1 + at, s2 == nullptr ? s2 : s2 + at);
    }
  }
  for (; i < count; ++i) changed += updateOne<Form, A>(u, g, p, s1, s2, i);
  return changed;
}

template <class A>
std::int64_t updateForm(UpdateForm form, const UpdateStep<A>& u, const Byte* g, Byte* p, Byte* s1, Byte* s2,
                        std::int64_t count) {
  switch (form) {
    case UpdateForm::Sgd:
      return updateRun<UpdateForm::Sgd, A>(u, g, p, s1, s2, count);
    case UpdateForm::SgdMomentum:
      return updateRun<UpdateForm::SgdMomentum, A>(u, g, p, s1, s2, count);
    default:
      return updateRun<UpdateForm::Adam, A>(u, g, p, s1, s2, count);
  }
}

template <class T>
void widen(const Byte* from, float* to, std::int64_t count) {
  std::int64_t i = 0;
  if constexpr (std::is_same_v<T, Float16>) {
    constexpr std::int64_t kWidth = static_cast<std::int64_t>(kVectorBytes / 4);
    for (; i + kWidth <= count; i += kWidth) hn::StoreU(loadHalves(from + 2 * i), FloatTag(), to + i);
  }
  for (; i < count; ++i) to[i] = Element<T>::decode(loadOne<std::uint16_t>(from, i));
}

template <class T>
void narrow(const float* from, Byte* to, std::int64_t count) {
  std::int64_t i = 0;
  if constexpr (std::is_same_v<T, Float16>) {
    constexpr std::int64_t kWidth = static_cast<std::int64_t>(kVectorBytes / 4);
    for (; i + kWidth <= count; i += kWidth) storeHalves(hn::LoadU(FloatTag(), from + i), to + 2 * i);
  }
  for (; i < count; ++i) storeOne<std::uint16_t>(Element<T>::encode(from[i]), to, i);
}

template <class G, class P>
std::int64_t update(const UpdateNumbers& numbers, const SegmentUpdate& segment, void* gradients, void* weights,
                    const WeightState& state, std::int64_t count) {
  using A = typename Element<P>::A;
  const UpdateStep<A> u(numbers, segment);
  const auto form = static_cast<UpdateForm>(numbers.form);
  auto* g = static_cast<Byte*>(gradients);
  auto* p = static_cast<Byte*>(weights);
  auto* s1 = static_cast<Byte*>(state.first);
  auto* s2 = static_cast<Byte*>(state.second);
  std::int64_t changed = 0;
  if constexpr (std::is_same_v<G, A> && std::is_same_v<P, A>) {
    changed = updateForm<A>(form, u, g, p, s1, s2, count);
  } else {
    float wideGradients[kBlock];
    float wideWeights[kBlock];
    for (std::int64_t at = 0; at < count; at += kBlock) {
      const std::int64_t n = std::min(kBlock, count - at);
      const Byte* x = g + at * static_cast<std::int64_t>(sizeof(G));
      Byte* w = p + at * static_cast<std::int64_t>(sizeof(P));
      Byte* wide = w;
      if constexpr (!std::is_same_v<G, float>) {
        widen<G>(x, wideGradients, n);
        x = reinterpret_cast<const Byte*>(wideGradients);
      }
      if constexpr (!std::is_same_v<P, float>) {
        float* const master = state.master == nullptr ? nullptr : static_cast<float*>(state.master) + at;
        float* const weightsInFloat = master == nullptr ? wideWeights : master;
        if (master == nullptr || u.first) widen<P>(w, weightsInFloat, n);
        wide = reinterpret_cast<Byte*>(weightsInFloat);
      }
      changed +=
          updateForm<float>(form, u, x, wide, s1 == nullptr ? s1 : s1 + 4 * at, s2 == nullptr ? s2 : s2 + 4 * at, n);
      if constexpr (!std::is_same_v<P, float>) narrow<P>(reinterpret_cast<const float*>(wide), w, n);
    }
  }
  if ((numbers.flags & kZeroGradients) != 0) std::memset(g, 0, static_cast<std::size_t>(count) * sizeof(G));
  return changed;
}

}  // namespace

const UpdateKernels updateKernels = {{
    {update<double, double>, nullptr, nullptr, nullptr},
    {nullptr, update<float, float>, update<float, Float16>, update<float, BFloat16>},
    {nullptr, update<Float16, float>, update<Float16, Float16>, update<Float16, BFloat16>},
    {nullptr, update<BFloat16, float>, update<BFloat16, Float16>, update<BFloat16, BFloat16>},
}};

GRADCLIP_END_LEVEL;
