// SPDX-License-Identifier: Apache-2.0
// What a clip leaves in memory and says in its slot, for every rule and policy.
#include "cuda_support.hpp"

using gradclip::kClipped;
using gradclip::kNonFinite;
using gradclip::kRefused;
using gradclip::kSkipped;

namespace {

constexpr double kNoLimit = reference::kInf;

/// Long and short tensors of every type, aligned and not.
std::vector<Tensor> mixed() {
  std::vector<Tensor> tensors;
  unsigned seed = 0;
  for (std::size_t count : {5000, 3, 64, 0, 4096, 1, 20, 8192, 129, 7, 7, 7}) {
    for (DType dtype : kAllTypes) tensors.push_back({dtype, spreadLanes(dtype, count, 3, 0, ++seed), seed % 4});
  }
  return tensors;
}

void checkElements(const Bound& bound, const std::vector<double>& coefficients) {
  for (std::size_t i = 0; i < bound.tensors.size(); ++i) {
    const Tensor& tensor = bound.tensors[i];
    Bits want = tensor.elements;
    for (auto& bits : want) bits = reference::scaled(tensor.dtype, bits, coefficients[i]);
    INFO("tensor " << i << " coefficient " << coefficients[i]);
    CHECK(bound.now(i) == want);
    for (std::uint8_t byte : bound.before(i)) CHECK(byte == 0);
  }
}

void checkElements(const Bound& bound, double coefficient) {
  checkElements(bound, std::vector<double>(bound.tensors.size(), coefficient));
}

void zero(std::vector<Tensor>& tensors) {
  for (Tensor& tensor : tensors) {
    for (auto& bits : tensor.elements) bits = reference::finite(tensor.dtype, bits);
  }
}

std::vector<Tensor> withNonFinite(double value) {
  std::vector<Tensor> tensors = mixed();
  for (std::size_t i : {9u, 16u, 22u}) {
    Bits& elements = tensors[i].elements;
    elements[elements.size() / 2] = reference::encode(tensors[i].dtype, value);
  }
  return tensors;
}

}  // namespace

TEST_CASE("global norm: bites, does not, only measures, zeroes") {
  Bound bound(mixed());
  for (NormOf norm : {kL1, kL2, kInfNorm}) {
    const gradclip::ScaledNorm total = referenceNorm(norm.kind, bound.tensors);
    for (double maxNorm : {total.value() / 3, total.value() * 2, 0.0, kNoLimit}) {
      bound.restore();
      const Slot slot = bound.clip(normRule(Granularity::All, norm, maxNorm, 1e-6, Policy::Propagate));
      const double coefficient = total.coefficient(maxNorm, 1e-6);
      CHECK(slot.globalNorm == total.value());
      CHECK(slot.coefficient == coefficient);
      CHECK(slot.clippedNorm == total.valueTimes(coefficient));
      CHECK(has(slot, kClipped) == (coefficient != 1));
      CHECK_FALSE(has(slot, kNonFinite));
      CHECK(slot.badSegment == -1);
      CHECK(bound.coefficient(1) == coefficient);
      checkElements(bound, coefficient);
    }
  }
}

TEST_CASE("a coefficient that only float64 takes as other than 1") {
  Bound bound(mixed());
  const double norm = referenceNorm(NormKind::L2, bound.tensors).value();
  const Slot slot = bound.clip(normRule(Granularity::All, kL2, norm * (1 - 0x1p-30), 0, Policy::Propagate));
  CHECK(has(slot, kClipped));
  checkElements(bound, slot.coefficient);
}

TEST_CASE("tiny coefficients multiply in double") {
  Bound bound(mixed());
  for (double maxNorm : {1e-25, 1e-30, 1e-38, 1e-45}) {
    bound.restore();
    const Slot slot = bound.clip(normRule(Granularity::All, kL2, maxNorm, 0, Policy::Propagate));
    CHECK(slot.coefficient > 0);
    checkElements(bound, slot.coefficient);
  }
}

TEST_CASE("coefficients beyond the largest float multiply in double, and zeros stay") {
  std::vector<Tensor> tensors = mixed();
  for (Tensor& tensor : tensors) {
    for (auto& bits : tensor.elements) {
      bits = reference::encode(tensor.dtype, reference::decode(tensor.dtype, bits) * 0x1p-135);
    }
  }
  Bound bound(tensors);
  for (double inverseScale : {0x1.fffffep127, 0x1.ffffffp127, 3.41e38, 0x1p135, 0x1.3p600, 0x1.fffffffffffffp1023}) {
    for (Granularity granularity : {Granularity::All, Granularity::Segment}) {
      bound.restore();
      Rule clip = normRule(granularity, kL2, kNoLimit, 1e-6, Policy::Zero);
      clip.limit.inverseScale = inverseScale;
      CHECK(bound.clip(clip).flags == 0);
      checkElements(bound, inverseScale);
    }
  }
}

TEST_CASE("a coefficient and an unscaling that no double holds together") {
  Bound bound({{DType::Float64, {1, 0}}, {DType::Float32, {0, 0x80000000u}}});
  Rule clip = normRule(Granularity::All, kL2, 0, 0, Policy::Propagate);
  clip.limit.form = gradclip::Form::Normalize;
  clip.limit.length = 1e300;
  clip.limit.inverseScale = 1e290;
  CHECK(bound.clip(clip).coefficient == 0x1.fffffffffffffp1023);
  checkElements(bound, 0x1.fffffffffffffp1023);
}

TEST_CASE("zeros are not clipped, whatever epsilon makes of their norm") {
  Bound bound({{DType::Float64, {0, 1ull << 63}}, {DType::Float32, Bits(3000, 0x80000000u)}});
  for (Granularity granularity : {Granularity::All, Granularity::Segment}) {
    CHECK(bound.clip(normRule(granularity, kL2, 1e-7, 1e-6, Policy::Propagate)).flags == 0);
    CHECK(bound.coefficient(0) == 1);
    CHECK(bound.coefficient(1) == 1);
  }
  const Slot given = bound.clipWithNorm(normRule(Granularity::All, kL2, 1e-7, 1e-6, Policy::Propagate), {0});
  CHECK(has(given, kClipped));
  CHECK(given.coefficient == 1e-7 / 1e-6);
  checkElements(bound, 1);
}

TEST_CASE("per tensor") {
  Bound bound(mixed());
  for (NormOf norm : {kL1, kL2, kInfNorm}) {
    for (double maxNorm : {1.5, 1e9, kNoLimit}) {
      bound.restore();
      const Slot slot = bound.clip(normRule(Granularity::Segment, norm, maxNorm, 1e-6, Policy::Propagate));
      std::vector<double> coefficients;
      bool changes = false;
      for (std::size_t i = 0; i < bound.tensors.size(); ++i) {
        const gradclip::ScaledNorm own = referenceNorm(norm.kind, {bound.tensors[i]});
        coefficients.push_back(own.coefficient(maxNorm, 1e-6));
        changes = changes || coefficients.back() != 1;
        CHECK(bound.norm(norm, i, i + 1) == own.value());
        CHECK(bound.coefficient(i) == coefficients.back());
      }
      CHECK(slot.globalNorm == referenceNorm(norm.kind, bound.tensors).value());
      CHECK(std::isnan(slot.coefficient));
      CHECK(has(slot, kClipped) == changes);
      checkElements(bound, coefficients);
    }
  }
}

TEST_CASE("per tensor, no tile is looked at a second time where no coefficient changes an element") {
  Bound bound(
      {{DType::Float32, normal(DType::Float32, 200000, 1)}, {DType::Float64, normal(DType::Float64, 70000, 2)}});
  const auto accesses = [&](const Rule& rule, CudaPlan::Steps steps) {
    emulator::resetCounters();
    bound.clip(rule, steps);
    return emulator::counters().accesses;
  };
  const Rule loose = normRule(Granularity::Segment, kL2, 1e9, 1e-6, Policy::Propagate);
  Rule unscaling = loose;
  unscaling.limit.inverseScale = 0.5;
  const std::int64_t decided = accesses(loose, {true, false});
  // Each thread of scale that the emulated device holds reads the decision.
  const std::int64_t looked = accesses(loose, {}) - decided, scaled = accesses(unscaling, {}) - decided;
  if (kEmulated) {
    CHECK(looked <= 8 * 1024);
    CHECK(scaled > 2 * 1360000 / 16);
  }
  checkElements(bound, 0.5);
}

TEST_CASE("measured group by group, then clipped") {
  Bound bound(mixed());
  const auto size = static_cast<std::int32_t>(bound.tensors.size());
  for (std::int32_t split : {1, 7, 20, 45}) {
    bound.restore();
    REQUIRE_OK(bound->measure(0, kL2, split, size));
    REQUIRE_OK(bound->measure(0, kL2, 0, split));
    const Slot slot = bound.clip(normRule(Granularity::All, kL2, 1, 1e-6, Policy::Error), {false, true});
    CHECK(slot.globalNorm == referenceNorm(NormKind::L2, bound.tensors).value());
    checkElements(bound, slot.coefficient);
  }
}

TEST_CASE("a norm that is given") {
  Bound bound(mixed());
  const Slot slot = bound.clipWithNorm(normRule(Granularity::All, kL2, 1, 1e-6, Policy::Propagate), {8});
  CHECK(slot.globalNorm == 8);
  CHECK(slot.coefficient == 1 / (8 + 1e-6));
  checkElements(bound, slot.coefficient);
  bound.restore();
  CHECK(has(bound.clipWithNorm(normRule(Granularity::All, kL2, 1, 1e-6, Policy::Skip), {reference::kNaN}), kNonFinite));
  checkElements(bound, 1);
  const Slot refused = bound.clipWithNorm(normRule(Granularity::All, kL2, 1, 1e-6, Policy::Error), {reference::kInf});
  CHECK(has(refused, kRefused));
  checkElements(bound, 1);
  CHECK(
      bound.clipWithNorm(normRule(Granularity::All, kL2, 1, 1e-6, Policy::Propagate), {reference::kInf}).coefficient ==
      0);
  checkElements(bound, 0);
}

TEST_CASE("a norm that lies on the device, in each form") {
  Bound bound(mixed());
  std::int64_t at = 0;
  REQUIRE_OK(gradclip::cudaAllocate(0, 16, &at));
  const auto write = [&](const void* value, std::int64_t bytes) {
    REQUIRE_OK(gradclip::cudaCopyToDevice(0, 0, at, value, bytes));
  };
  const Rule rule = normRule(Granularity::All, kL2, 1, 0, Policy::Skip);
  for (bool isSquared : {false, true}) {
    for (bool isFloat32 : {false, true}) {
      bound.restore();
      const double wide = isSquared ? 64 : 8;
      const auto single = static_cast<float>(wide);
      isFloat32 ? write(&single, 4) : write(&wide, 8);
      emulator::resetCounters();
      const Slot slot = bound.clipWithNorm(rule, {0.0, at, isFloat32, isSquared});
      if (kEmulated) CHECK(emulator::counters().copiesToHost == 0);
      CHECK(slot.globalNorm == 8);
      CHECK(slot.coefficient == 0.125);
      checkElements(bound, 0.125);
    }
  }
  for (double none : {-1.0, reference::kNaN, reference::kInf}) {
    bound.restore();
    write(&none, 8);
    CHECK(has(bound.clipWithNorm(rule, {0.0, at, 0, 0}), kNonFinite));
    checkElements(bound, 1);
  }
  double host = 8;
  std::int64_t ticket = 0;
  const auto address = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&host));
  CHECK_FALSE(bound->clipWithNorm(0, rule, {0.0, address, 0, 0}, &ticket).ok());
  CHECK(bound.clipWithNorm(rule, {4}).coefficient == 0.25);
  REQUIRE_OK(gradclip::cudaRelease(0, at));
}

TEST_CASE("what a decision leaves for kernels of others") {
  Bound bound(mixed());
  const double norm = referenceNorm(NormKind::L2, bound.tensors).value();
  const auto finding = [&] {
    gradclip::Finding found{};
    REQUIRE_OK(gradclip::cudaCopyToHost(0, 0, &found, bound->findingAddress(), sizeof found));
    return found;
  };
  bound.clip(normRule(Granularity::All, kL2, norm / 4, 0, Policy::Propagate), {true, false});
  CHECK(finding().norm == norm);
  CHECK(finding().squaredNorm == norm * norm);
  CHECK(finding().inverseCoefficient == 4.0f);
  CHECK(finding().nonFinite == 0.0f);
  // Another plan's norm, all on the device.
  Bound other(mixed());
  const std::int64_t squared = bound->findingAddress() + 16;
  CHECK(other.clipWithNorm(normRule(Granularity::All, kL2, norm / 2, 0, Policy::Propagate), {0.0, squared, 0, 1})
            .coefficient == (norm / 2) / std::sqrt(norm * norm));
}

TEST_CASE("non-finite gradients under each policy") {
  for (double value : {reference::kInf, -reference::kInf, reference::kNaN}) {
    for (NormOf norm : {kL1, kL2, kInfNorm}) {
      Bound bound(withNonFinite(value));
      Slot slot = bound.clip(normRule(Granularity::All, norm, 1, 1e-6, Policy::Propagate));
      CHECK(has(slot, kNonFinite));
      CHECK(slot.badSegment == 9);
      CHECK(reference::sameBits(slot.badNorm, std::fabs(value)));
      CHECK(reference::sameBits(slot.globalNorm, std::fabs(value)));
      checkElements(bound, std::isnan(value) ? value : 0.0);

      for (Policy policy : {Policy::Skip, Policy::Error}) {
        bound.restore();
        slot = bound.clip(normRule(Granularity::All, norm, 1, 1e-6, policy));
        CHECK(slot.flags == (policy == Policy::Skip ? kNonFinite | kSkipped : kNonFinite | kRefused));
        CHECK(slot.coefficient == 1);
        CHECK(bound.coefficient(3) == 1);
        checkElements(bound, 1);
        slot = bound.clip(normRule(Granularity::Segment, norm, 1, 1e-6, policy));
        CHECK(slot.badSegment == 9);
        CHECK(bound.coefficient(3) == 1);
        checkElements(bound, 1);
      }

      for (double maxNorm : {1.0, 1e9, kNoLimit}) {
        bound.tensors = withNonFinite(value);
        bound.restore();
        slot = bound.clip(normRule(Granularity::All, norm, maxNorm, 1e-6, Policy::Zero));
        zero(bound.tensors);
        const gradclip::ScaledNorm total = referenceNorm(norm.kind, bound.tensors);
        CHECK(slot.globalNorm == total.value());
        CHECK(slot.coefficient == total.coefficient(maxNorm, 1e-6));
        CHECK(has(slot, kNonFinite));
        CHECK(has(slot, kClipped) == (maxNorm == 1));
        checkElements(bound, slot.coefficient);
        CHECK_FALSE(has(bound.clip(normRule(Granularity::All, norm, maxNorm, 1e-6, Policy::Zero)), kNonFinite));
      }
    }
  }
}

TEST_CASE("values") {
  for (Policy policy : {Policy::Propagate, Policy::Error, Policy::Skip, Policy::Zero}) {
    Bound bound(mixed());
    for (auto [min, max] : {std::pair{-0.5, 0.5},
                            {-1e-30, 1e-40},
                            {0.25, 3.0},
                            {-0.0, 0.0},
                            {-kNoLimit, kNoLimit},
                            {-65520.0, 0.3},
                            {-70000.0, 70000.0},
                            {70000.0, 80000.0},
                            {-1e300, 1e39}}) {
      bound.restore();
      const Slot slot = bound.clipByValue(valueRule(min, max, policy));
      std::int64_t changed = 0;
      for (std::size_t i = 0; i < bound.tensors.size(); ++i) {
        const Tensor& tensor = bound.tensors[i];
        Bits want = tensor.elements;
        for (auto& bits : want) {
          const std::uint64_t before = bits;
          bits = reference::clamped(tensor.dtype, bits, min, max);
          changed += bits != before ? 1 : 0;
        }
        CHECK(bound.now(i) == want);
      }
      CHECK(slot.changed == changed);
      CHECK(slot.flags == (changed > 0 ? kClipped : 0));
      CHECK(std::isnan(slot.globalNorm));
      CHECK(std::isnan(slot.coefficient));
    }
  }
}

TEST_CASE("every half, limits between two of them, that round to zero, at zeros and at infinities") {
  for (DType dtype : {DType::Float16, DType::BFloat16}) {
    Bits all(65536);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    Bound bound({{dtype, all}, {dtype, all, 1}});
    for (auto [min, max] : {std::pair{-1.0004, 1.0006},
                            {1.0006, 1.9994},
                            {-0x1p-26, 0x1p-25},
                            {0x1.8p-25, 65519.0},
                            {-kNoLimit, -0.0},
                            {0.0, kNoLimit},
                            {-3.39e38, 3.4e38},
                            {0x1p-140, 0x1p-30},
                            {0x1p-30, 3.0},
                            {-1.0, -0x1p-140}}) {
      bound.restore();
      std::int64_t changed = 0;
      Bits want = all;
      for (auto& bits : want) {
        const std::uint64_t before = bits;
        bits = reference::clamped(dtype, bits, min, max);
        changed += bits != before ? 2 : 0;
      }
      INFO("dtype " << ordinal(dtype) << " min " << min << " max " << max);
      CHECK(bound.clipByValue(valueRule(min, max, Policy::Propagate)).changed == changed);
      CHECK(bound.now(0) == want);
      CHECK(bound.now(1) == want);
    }
  }
}

TEST_CASE("values among non-finite ones") {
  for (double value : {reference::kInf, reference::kNaN}) {
    for (Policy policy : {Policy::Error, Policy::Skip}) {
      Bound bound(withNonFinite(value));
      const Slot slot = bound.clipByValue(valueRule(-0.5, 0.5, policy));
      CHECK(slot.flags == (policy == Policy::Skip ? kNonFinite | kSkipped : kNonFinite | kRefused));
      CHECK(slot.badSegment == 9);
      CHECK(slot.changed == 0);
      checkElements(bound, 1);
    }
    for (auto [min, max] : {std::pair{-0.5, 0.5}, {0.25, 3.0}, {1e-60, 3.0}}) {
      Bound bound(withNonFinite(value));
      const Slot slot = bound.clipByValue(valueRule(min, max, Policy::Zero));
      std::int64_t changed = 0;
      for (std::size_t i = 0; i < bound.tensors.size(); ++i) {
        const Tensor& tensor = bound.tensors[i];
        Bits want = tensor.elements;
        for (auto& bits : want) {
          const std::uint64_t zeroed = reference::finite(tensor.dtype, bits);
          const std::uint64_t now = reference::clamped(tensor.dtype, zeroed, min, max);
          changed += now != zeroed || (zeroed != bits && min <= 0) ? 1 : 0;
          bits = now;
        }
        CHECK(bound.now(i) == want);
      }
      CHECK(slot.changed == changed);
      CHECK(has(slot, kNonFinite));
    }
  }
}

TEST_CASE("values among non-finite ones, unscaled: every half, and whole tiles of each type") {
  for (DType dtype : kAllTypes) {
    Bits all;
    if (gradclip::elementBytes(dtype) == 2) {
      for (std::size_t i = 0; i < 65536; ++i) all.push_back(i);
    } else {
      all = normal(dtype, 3 * static_cast<std::size_t>(gradclip::tileElements(dtype)) + 7, 1, 5);
      for (std::size_t i = 0; i < all.size(); i += 11) {
        const double odd[] = {reference::kInf, -reference::kInf, reference::kNaN, 0.0, -0.0, 1e-310, 1e-44, 3e38};
        all[i] = reference::encode(dtype, odd[i / 11 % 8]);
      }
    }
    Bound bound({{dtype, all}, {dtype, all, 1}});
    for (double inverseScale : {1.0, 0.37, 0x1p-4, 3e5, 1e-35, 1e200}) {
      for (Policy policy : {Policy::Propagate, Policy::Zero}) {
        for (auto [min, max] : {std::pair{-0.5, 0.5}, {0.25, 3.0}, {-1e-60, 3.0}, {1e-60, 3.0}, {0.0, kNoLimit}}) {
          bound.restore();
          Rule rule = valueRule(min, max, policy);
          rule.limit.inverseScale = inverseScale;
          const Slot slot = bound.clipByValue(rule);
          std::int64_t changed = 0;
          Bits want = all;
          for (auto& bits : want) {
            const std::uint64_t zeroed = policy == Policy::Zero ? reference::finite(dtype, bits) : bits;
            const bool zero = policy == Policy::Zero && !std::isfinite(reference::decode(dtype, bits));
            const std::uint64_t kept =
                zero || inverseScale == 1.0 ? zeroed : reference::scaled(dtype, bits, inverseScale);
            bits = reference::clamped(dtype, kept, min, max);
            changed += bits != kept || (zero && min <= 0 && max >= 0) ? 2 : 0;
          }
          INFO("dtype " << ordinal(dtype) << " scale " << inverseScale << " min " << min << " max " << max);
          CHECK(slot.changed == changed);
          CHECK(has(slot, kNonFinite) == (policy == Policy::Zero));
          CHECK(bound.now(0) == want);
          CHECK(bound.now(1) == want);
        }
      }
    }
  }
}

TEST_CASE("power norms, within rounding") {
  Bound bound(mixed());
  for (double p : {0.5, 1.5, 3.0, 17.0}) {
    double largest = 0, sum = 0;
    for (const Tensor& tensor : bound.tensors) {
      for (auto bits : tensor.elements) largest = std::max(largest, std::fabs(reference::decode(tensor.dtype, bits)));
    }
    for (const Tensor& tensor : bound.tensors) {
      for (auto bits : tensor.elements) sum += std::pow(std::fabs(reference::decode(tensor.dtype, bits)) / largest, p);
    }
    const double want = largest * std::pow(sum, 1 / p);
    const NormOf power{NormKind::Power, p};
    CHECK(bound.globalNorm(power).globalNorm == doctest::Approx(want).epsilon(1e-12));
    bound.restore();
    const Slot slot = bound.clip(normRule(Granularity::All, power, want / 2, 0, Policy::Propagate));
    CHECK(slot.coefficient == doctest::Approx(0.5).epsilon(1e-12));
    checkElements(bound, slot.coefficient);
    bound.restore();
  }
}
