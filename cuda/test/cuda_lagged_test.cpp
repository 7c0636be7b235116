// SPDX-License-Identifier: Apache-2.0
// Clips whose coefficient is known before their norm, in one pass over the gradients, against the same clips in two:
// bits, results, figures and histories; which clips take one pass; what they cost.
#include <cstring>

#include "cuda_support.hpp"

using gradclip::HistoryHead;

namespace {

/// Tensors bound twice, each with a history: for one pass and for two.
struct Both {
  Bound one, two;

  explicit Both(const std::vector<Tensor>& tensors) : one(tensors), two(tensors) {
    for (Bound* bound : {&one, &two}) REQUIRE_OK((*bound)->createHistory(sizeof(HistoryHead), &address(*bound)));
    begin();
  }

  /// Makes both histories new, or ones of which so many steps have been taken.
  void begin(double steps = 0.0, double average = 0.0) {
    HistoryHead head{};
    head.form = static_cast<double>(gradclip::HistoryForm::Lagged);
    head.a = 0.9;
    head.steps = steps;
    head.threshold = __builtin_inf();
    head.first = average;
    std::vector<std::uint8_t> bytes(sizeof head);
    std::memcpy(bytes.data(), &head, sizeof head);
    for (Bound* bound : {&one, &two}) writeDevice(address(*bound), bytes);
  }

  Rule of(Bound& bound, const Rule& rule) {
    Rule its = rule;
    its.history = address(bound);
    its.onePass = &bound == &one ? 1 : 0;
    return its;
  }

  /// All that a clip leaves behind, and in how many launches.
  Slot checkSame(const Rule& rule, std::int64_t launches = 2, CudaPlan::Steps steps = {}) {
    const Slot want = two.clip(of(two, rule), steps);
    emulator::resetCounters();
    const Slot got = one.clip(of(one, rule), steps);
    if (kEmulated) CHECK(emulator::counters().launches == launches);
    checkSlots(got, want);
    checkMemory();
    for (std::size_t i = 0; i < one.tensors.size(); ++i) {
      CHECK(bits(one.coefficient(i)) == bits(two.coefficient(i)));
      CHECK(bits(one.norm({rule.norm, 0}, i, i + 1)) == bits(two.norm({rule.norm, 0}, i, i + 1)));
    }
    return got;
  }

  static void checkSlots(const Slot& got, const Slot& want) {
    CHECK(got.ticket == want.ticket);
    CHECK(bits(got.globalNorm) == bits(want.globalNorm));
    CHECK(bits(got.coefficient) == bits(want.coefficient));
    CHECK(bits(got.clippedNorm) == bits(want.clippedNorm));
    CHECK(got.flags == want.flags);
    CHECK(got.badSegment == want.badSegment);
    CHECK(bits(got.badNorm) == bits(want.badNorm));
  }

  void checkMemory() {
    for (std::size_t i = 0; i < one.tensors.size(); ++i) {
      REQUIRE(one.now(i) == two.now(i));
      REQUIRE(one.before(i) == two.before(i));
    }
    CHECK(readDevice(address(one), sizeof(HistoryHead)) == readDevice(address(two), sizeof(HistoryHead)));
    constexpr std::size_t kFinding = sizeof(gradclip::Finding);
    CHECK(readDevice(one->findingAddress(), kFinding) == readDevice(two->findingAddress(), kFinding));
  }

  void restore() {
    one.restore();
    two.restore();
  }

  static std::uint64_t bits(double value) { return gradclip::bitCast<std::uint64_t>(value); }

 private:
  std::int64_t& address(const Bound& bound) { return histories_[&bound == &one ? 0 : 1]; }

  std::int64_t histories_[2] = {};
};

std::vector<std::size_t> lengthsOf(DType type) {
  const auto tile = static_cast<std::size_t>(gradclip::tileElements(type));
  return {0, 1, 7, tile - 1, tile, tile + 1, 20 * tile + 3, 1025 * tile};
}

/// Of each type: a whole tile and some more, one element, none, a long one that begins at an odd element; values that
/// leave the range in which their type adds up exactly; zeros.
std::vector<Tensor> some() {
  std::vector<Tensor> tensors;
  unsigned seed = 1;
  for (DType type : kAllTypes) {
    const auto tile = static_cast<std::size_t>(gradclip::tileElements(type));
    tensors.push_back({type, normal(type, tile + 77, 1, seed++)});
    tensors.push_back({type, normal(type, 1, 1, seed++)});
    tensors.push_back({type, {}});
    tensors.push_back({type, normal(type, 2 * tile + 5, 1, seed++), 1});
    tensors.push_back({type, normal(type, 2 * tile, type == DType::Float16 ? 1e-6 : 1e-30, seed++)});
    tensors.push_back({type, normal(type, tile, type == DType::Float16 ? 1e4 : 1e30, seed++)});
    tensors.push_back({type, normal(type, 3000, 0, seed++)});
  }
  tensors.push_back({DType::Float64, normal(DType::Float64, 2048, 1e-200, seed++)});
  return tensors;
}

/// With a norm that moves no history.
std::vector<Tensor> huge() {
  std::vector<Tensor> tensors = some();
  tensors.push_back({DType::Float64, normal(DType::Float64, 1500, 1e200, 99), 1});
  return tensors;
}

Rule rule(NormOf norm, double max, double inverseScale = 1.0) {
  Rule rule = normRule(Granularity::All, norm, max, 1e-6, Policy::Propagate);
  rule.limit.inverseScale = inverseScale;
  return rule;
}

}  // namespace

TEST_CASE("every length, type, norm and place: the bits, results and histories of two passes") {
  for (DType type : kAllTypes) {
    for (std::size_t length : lengthsOf(type)) {
      for (std::size_t offset : {0u, 1u, 3u}) {
        INFO("type " << static_cast<int>(type) << ", " << length << " elements from " << offset << " on");
        Both both({{type, normal(type, length, 1, 1), offset}});
        // The first step is not clipped; later ones by 1 / 3 or so, and by nothing.
        for (double max : {1.0, 0.3, 1e300}) both.checkSame(rule(kL2, max), length == 0 ? 1 : 2);
      }
    }
  }
}

TEST_CASE("tensors of all types, unscaled, by small and large coefficients") {
  for (const auto& tensors : {some(), huge()}) {
    Both both(tensors);
    for (NormOf norm : {kL1, kL2, kInfNorm}) {
      for (double inverseScale : {1.0, 3.0, 1e300, 0.0}) {
        for (double max : {0.0, 1e-300, 1e-40, 1.0, __builtin_inf()}) {
          for (double average : {0.0, 1.0, 1e40}) {
            INFO("unscaling by " << inverseScale << " at most " << max << " with the average " << average);
            both.begin(5.0, average);
            both.checkSame(rule(norm, max, inverseScale));
            both.restore();
          }
        }
      }
    }
    // No ε, and nothing to divide by.
    Rule none = rule(kL2, 0.0);
    none.limit.epsilon = 0.0;
    both.begin(5.0, 0.0);
    both.checkSame(none);
  }
}

TEST_CASE("NaN and infinity in tensors of every type: all are scaled, and the history stays") {
  for (std::size_t bad = 0; bad < some().size(); ++bad) {
    std::vector<Tensor> tensors = some();
    Bits& elements = tensors[bad].elements;
    if (elements.empty()) continue;
    elements[elements.size() / 2] = reference::encode(tensors[bad].dtype, __builtin_inf());
    if (bad % 2 == 0) elements.back() = reference::encode(tensors[bad].dtype, __builtin_nan(""));
    Both both(tensors);
    both.checkSame(rule(kL2, 0.5));
    both.begin(3.0, 2.0);
    const Slot slot = both.checkSame(rule(kL2, 0.5));
    CHECK(has(slot, gradclip::kNonFinite));
    CHECK(slot.coefficient == 0.5 / (2.0 + 1e-6));
  }
}

TEST_CASE("a hundred steps") {
  Both both(
      {{DType::Float32, normal(DType::Float32, 3000, 1, 1)}, {DType::BFloat16, normal(DType::BFloat16, 9, 1, 2)}});
  for (int i = 0; i < 100; ++i) {
    both.restore();
    const Slot slot = both.checkSame(rule(kL2, 40.0 + i % 7, i % 3 == 0 ? 0.5 : 1.0));
    CHECK(has(slot, gradclip::kClipped) == (slot.coefficient < (i % 3 == 0 ? 0.5 : 1.0)));
  }
}

TEST_CASE("what was measured before, a decision alone, and a norm that is given take the ways they took") {
  Both both(some());
  both.begin(5.0, 7.0);
  const double measured = both.checkSame(rule(kL2, 2.0), 2, {true, false}).globalNorm;
  const std::size_t length = both.one.tensors[0].elements.size();
  for (Bound* bound : {&both.one, &both.two}) bound->tensors[0].elements = normal(DType::Float64, length, 9e30, 99);
  both.restore();
  CHECK(both.checkSame(rule(kL2, 2.0), 2, {false, true}).globalNorm == measured);
  both.restore();
  const gradclip::GivenNorm given{3.0, 0, 0, 0};
  const Slot want = both.two.clipWithNorm(both.of(both.two, rule(kL2, 2.0)), given);
  Both::checkSlots(both.one.clipWithNorm(both.of(both.one, rule(kL2, 2.0)), given), want);
  both.checkMemory();
}

TEST_CASE("rebound, absent, all absent") {
  Both both(some());
  both.begin(5.0, 7.0);
  for (Bound* bound : {&both.one, &both.two}) {
    bound->move(0);
    bound->drop(5);
    bound->rebind();
  }
  both.checkSame(rule(kL2, 2.0));
  for (Bound* bound : {&both.one, &both.two}) {
    for (std::size_t i = 0; i < bound->tensors.size(); ++i) bound->drop(i);
    bound->rebind();
  }
  both.checkSame(rule(kL2, 2.0));
}

TEST_CASE("captured in a graph and replayed a hundred times, with other numbers at each") {
  Both both(
      {{DType::Float32, normal(DType::Float32, 5000, 1, 1)}, {DType::Float16, normal(DType::Float16, 99, 1, 2), 1}});
  std::int64_t stream = 0, graph = 0;
  std::int32_t capture = -1;
  REQUIRE_OK(gradclip::cudaCreateStream(0, &stream));
  REQUIRE_OK(gradclip::cudaBeginCapture(0, stream));
  REQUIRE_OK(both.one->captureByNorm(stream, both.of(both.one, rule(kL2, 1.0)), &capture));
  REQUIRE_OK(gradclip::cudaFinishCapture(0, stream, &graph));
  for (int i = 1; i <= 100; ++i) {
    both.restore();
    // The numbers of the capture at first.
    const Rule now = i < 10 ? rule(kL2, 1.0) : rule(kL2, 100.0 / i, i % 2 == 0 ? 0.25 : 1.0);
    const Slot want = both.two.clip(both.of(both.two, now));
    if (i >= 10) REQUIRE_OK(both.one->setNumbers(stream, capture, both.of(both.one, now)));
    emulator::resetCounters();
    REQUIRE_OK(gradclip::cudaLaunchGraph(0, graph, stream));
    if (kEmulated) CHECK(emulator::counters().launches == 2);
    REQUIRE_OK(gradclip::cudaSynchronizeStream(0, stream));
    Both::checkSlots(*static_cast<const Slot*>(both.one->captureSlot(capture)), want);
    both.checkMemory();
  }
  both.one->closeCapture(capture);
  REQUIRE_OK(gradclip::cudaDestroyGraph(0, graph));
  REQUIRE_OK(gradclip::cudaDestroyStream(0, stream));
}

#if defined(GRADCLIP_EMULATED)

TEST_CASE("an element is read once and written once, and not written where the coefficient is 1") {
  constexpr std::int64_t kTiles = 300, kVectors = 512;
  Both both({{DType::Float32, normal(DType::Float32, kTiles * 2048, 1, 1)}});
  const auto accesses = [&](Bound& bound, double max) {
    emulator::resetCounters();
    bound.clip(both.of(bound, rule(kL2, max)));
    return emulator::counters().accesses;
  };
  both.begin(5.0, 7.0);
  // Beside elements: pieces, partials, the history, results.
  constexpr std::int64_t kBeside = 32 * 8;
  const std::int64_t two = accesses(both.two, 1.0), one = accesses(both.one, 1.0), none = accesses(both.one, 1e300);
  CHECK(two >= 3 * kTiles * kVectors);
  CHECK(one >= 2 * kTiles * kVectors);
  CHECK(one < (2 * kVectors + kBeside) * kTiles);
  CHECK(none >= kTiles * kVectors);
  CHECK(none < (kVectors + kBeside) * kTiles);
}

#endif
