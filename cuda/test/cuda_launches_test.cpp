// SPDX-License-Identifier: Apache-2.0
// Clips in one launch, and in launches brought up early, against the same clips in three that follow each other: bits,
// results and figures; which clips are such; what they cost.
#include <cstdlib>

#include "cuda_support.hpp"

namespace {

/// Tensors bound twice: for three launches, and for another way that an environment variable asks for.
struct Both {
  Bound three, one;

  /// Three launches after each other beside the way that a variable asks for.
  explicit Both(const std::vector<Tensor>& tensors, const char* variable = "GRADCLIP_CUDA_ONE_LAUNCH")
      : three(asked(tensors, kFollowing, "0")), one(asked(tensors, variable, "1")) {
    unsetenv(variable);
  }

  /// All that a clip leaves behind, and in how many launches of which so many are early.
  void checkSame(const Rule& rule, std::int64_t launches = 1, std::int64_t early = 0) {
    const Slot want = three.clip(rule);
    emulator::resetCounters();
    const Slot got = one.clip(rule);
    if (kEmulated) CHECK(emulator::counters().launches == launches);
    if (kEmulated) CHECK(emulator::counters().earlyLaunches == early);
    checkSlots(got, want);
    checkMemory();
    for (std::size_t i = 0; i < one.tensors.size(); ++i) CHECK(bits(one.coefficient(i)) == bits(three.coefficient(i)));
    const NormOf norm{rule.norm, 0};
    CHECK(bits(one.norm(norm, 0, one.tensors.size())) == bits(three.norm(norm, 0, one.tensors.size())));
  }

  void checkSlots(const Slot& got, const Slot& want) {
    CHECK(got.ticket == want.ticket);
    CHECK(bits(got.globalNorm) == bits(want.globalNorm));
    CHECK(bits(got.coefficient) == bits(want.coefficient));
    CHECK(got.changed == want.changed);
    CHECK(got.flags == want.flags);
    CHECK(got.badSegment == want.badSegment);
    CHECK(bits(got.badNorm) == bits(want.badNorm));
  }

  void checkMemory() {
    for (std::size_t i = 0; i < one.tensors.size(); ++i) {
      REQUIRE(one.now(i) == three.now(i));
      REQUIRE(one.before(i) == three.before(i));
    }
    constexpr std::size_t kFinding = sizeof(gradclip::Finding);
    CHECK(readDevice(one->findingAddress(), kFinding) == readDevice(three->findingAddress(), kFinding));
  }

  void restore() {
    three.restore();
    one.restore();
  }

  static std::uint64_t bits(double value) { return gradclip::bitCast<std::uint64_t>(value); }

 private:
  static constexpr const char* kFollowing = "GRADCLIP_CUDA_DEPENDENT_LAUNCH";

  static const std::vector<Tensor>& asked(const std::vector<Tensor>& tensors, const char* variable, const char* value) {
    unsetenv(kFollowing);
    setenv(variable, value, 1);
    return tensors;
  }
};

/// Of each type: a whole tile and some more, one element, none, a long one that begins at an odd element.
std::vector<Tensor> some() {
  std::vector<Tensor> tensors;
  unsigned seed = 1;
  for (DType type : kAllTypes) {
    const auto tile = static_cast<std::size_t>(gradclip::tileElements(type));
    tensors.push_back({type, normal(type, tile + 77, 1, seed++)});
    tensors.push_back({type, normal(type, 1, 1, seed++)});
    tensors.push_back({type, {}});
    tensors.push_back({type, normal(type, 2 * tile + 5, 1, seed++), 1});
  }
  return tensors;
}

/// Tiles that leave the range in which their type adds up exactly, zeros, and elements of every kind.
std::vector<Tensor> wide() {
  std::vector<Tensor> tensors;
  for (DType type : {DType::Float64, DType::Float32, DType::BFloat16}) {
    for (double scale : {1e-30, 1e30, 0.0})
      tensors.push_back({type, normal(type, 3000, scale, static_cast<unsigned>(tensors.size()))});
  }
  tensors.push_back({DType::Float64, normal(DType::Float64, 1500, 1e200, 7), 1});
  tensors.push_back({DType::Float64, normal(DType::Float64, 1500, 1e-200, 8)});
  return tensors;
}

constexpr Policy kPolicies[] = {Policy::Propagate, Policy::Error, Policy::Skip, Policy::Zero};

Rule rule(Granularity granularity, NormOf norm, double max, Policy policy = Policy::Propagate) {
  return normRule(granularity, norm, max, 1e-6, policy);
}

}  // namespace

TEST_CASE("every norm, granularity and type: the bits, results and figures of three launches") {
  for (const auto& tensors : {some(), wide()}) {
    Both both(tensors);
    for (NormOf norm : {kL1, kL2, kInfNorm}) {
      for (Granularity granularity : {Granularity::All, Granularity::Segment}) {
        for (double max : {1e-3, 1e-20, 1.0, 1e300}) {
          both.checkSame(rule(granularity, norm, max));
          both.restore();
        }
      }
    }
  }
}

TEST_CASE("every policy, with NaN and infinity in tensors of every type") {
  for (std::size_t bad = 0; bad < some().size(); ++bad) {
    std::vector<Tensor> tensors = some();
    Bits& elements = tensors[bad].elements;
    if (elements.empty()) continue;
    const auto of = [&](double value) { return reference::encode(tensors[bad].dtype, value); };
    elements[elements.size() / 2] = of(__builtin_inf());
    elements.back() = bad % 2 == 0 ? of(__builtin_nan("")) : of(-__builtin_inf());
    Both both(tensors);
    for (Policy policy : kPolicies) {
      for (Granularity granularity : {Granularity::All, Granularity::Segment}) {
        both.checkSame(rule(granularity, kL2, 0.5, policy));
        both.restore();
      }
    }
  }
}

TEST_CASE("unscaling, and the other forms") {
  Both both(some());
  for (gradclip::Form form : {gradclip::Form::Average, gradclip::Form::Rms, gradclip::Form::Normalize}) {
    Rule other = rule(Granularity::All, kL2, 0.25);
    other.limit.form = form;
    other.limit.length = 2;
    other.limit.inverseScale = 0x1p-7;
    both.checkSame(other);
    both.restore();
  }
}

TEST_CASE("a hundred clips one after the other") {
  Both both(some());
  for (int i = 0; i < 100; ++i)
    both.checkSame(rule(i % 3 == 0 ? Granularity::Segment : Granularity::All, kL2, 10.0 / (i + 1)));
}

TEST_CASE("a clip is enqueued: nothing is copied, nobody waits") {
  Both both(some());
  std::int64_t ticket = 0;
  both.one.clip(rule(Granularity::All, kL2, 1));
  emulator::resetCounters();
  for (int i = 0; i < 10; ++i) REQUIRE_OK(both.one->clipByNorm(0, rule(Granularity::All, kL2, 1), {}, &ticket));
  if (kEmulated) {
    const auto counted = emulator::counters();
    CHECK(counted.launches == 10);
    CHECK(counted.allocations + counted.copiesToDevice + counted.copiesToHost + counted.synchronisations == 0);
  }
  CHECK(both.one.result(ticket).ticket == 11);
}

TEST_CASE("rebound, absent and back again") {
  Both both(some());
  for (Bound* bound : {&both.three, &both.one}) {
    bound->move(0);
    bound->drop(4);
    bound->rebind();
  }
  both.checkSame(rule(Granularity::All, kL2, 1));
  for (Bound* bound : {&both.three, &both.one}) {
    bound->comeBack(4);
    bound->rebind();
  }
  both.checkSame(rule(Granularity::Segment, kL1, 1));
}

TEST_CASE("one tensor, one element; thousands of short ones on a device that holds them; all absent") {
  Both one({{DType::Float32, normal(DType::Float32, 1, 1, 1)}});
  one.checkSame(rule(Granularity::All, kL2, 1e-3));
  for (Bound* bound : {&one.three, &one.one}) {
    bound->drop(0);
    bound->rebind();
  }
  one.checkSame(rule(Granularity::All, kL2, 1e-3));
  std::vector<Tensor> many(40, Tensor{DType::BFloat16, normal(DType::BFloat16, 9, 1, 3)});
  Both both(many);
  both.checkSame(rule(Granularity::Segment, kL2, 1e-3));
}

TEST_CASE("rules that take other ways, beside it, and the way back") {
  Both both(some());
  const auto launches = [&](const Rule& other, std::int64_t want) {
    const Slot three = both.three.clip(other);
    emulator::resetCounters();
    const Slot one = both.one.clip(other);
    if (kEmulated) CHECK(emulator::counters().launches == want);
    both.checkSlots(one, three);
    both.checkMemory();
  };
  launches(rule(Granularity::All, {NormKind::Power, 3}, 1), 5);
  Rule parts = rule(Granularity::Parts, kL2, 1);
  const auto count = static_cast<std::int32_t>(both.one.tensors.size());
  parts.setParts({{0, count, 0, 0, limitOf(1, 0), 0, 0}});
  launches(parts, 3);
  launches(rule(Granularity::All, kL2, 1), 1);
  launches(rule(Granularity::All, kL2, __builtin_inf()), 2);
  both.restore();
  const Rule clamp = valueRule(-0.5, 0.25, Policy::Skip);
  const Slot three = both.three.clipByValue(clamp);
  both.checkSlots(both.one.clipByValue(clamp), three);
  both.checkMemory();
  launches(rule(Granularity::Segment, kInfNorm, 0.1), 1);
}

TEST_CASE("captured in a graph, with other numbers at each replay") {
  Both both(some());
  std::int64_t stream = 0, graph = 0;
  std::int32_t capture = -1;
  REQUIRE_OK(gradclip::cudaCreateStream(0, &stream));
  REQUIRE_OK(gradclip::cudaBeginCapture(0, stream));
  REQUIRE_OK(both.one->captureByNorm(stream, rule(Granularity::All, kL2, 1), &capture));
  REQUIRE_OK(gradclip::cudaFinishCapture(0, stream, &graph));
  for (int i = 1; i <= 20; ++i) {
    const Rule now = rule(Granularity::All, kL2, 8.0 / i);
    const Slot want = both.three.clip(now);
    REQUIRE_OK(both.one->setNumbers(stream, capture, now));
    emulator::resetCounters();
    REQUIRE_OK(gradclip::cudaLaunchGraph(0, graph, stream));
    if (kEmulated) CHECK(emulator::counters().launches == 1);
    REQUIRE_OK(gradclip::cudaSynchronizeStream(0, stream));
    both.checkSlots(*static_cast<const Slot*>(both.one->captureSlot(capture)), want);
    both.checkMemory();
  }
  both.one->closeCapture(capture);
  REQUIRE_OK(gradclip::cudaDestroyGraph(0, graph));
  REQUIRE_OK(gradclip::cudaDestroyStream(0, stream));
}

TEST_CASE("decide and scale brought up while the kernel before runs, where that is one of the same clip") {
  Both both(some(), "GRADCLIP_CUDA_DEPENDENT_LAUNCH");
  for (NormOf norm : {kL1, kL2, kInfNorm}) {
    for (Policy policy : kPolicies) {
      both.checkSame(rule(Granularity::All, norm, 1, policy), 3, 2);
      both.checkSame(rule(Granularity::Segment, norm, 0.1, policy), 3, 2);
      both.restore();
    }
  }
  both.checkSame(rule(Granularity::All, {NormKind::Power, 3}, 1), 5, 3);
  both.restore();
  for (Bound* bound : {&both.three, &both.one}) {
    const Slot measured = bound->globalNorm(kL2);
    emulator::resetCounters();
    bound->clip(rule(Granularity::All, kL2, measured.globalNorm / 2), {false, true});
    bound->clipWithNorm(rule(Granularity::All, kL2, 1), {2.0, 0, 0, 0});
    bound->clipByValue(valueRule(-0.1, 0.1, Policy::Skip));
    // Decide follows nothing of its own clip, but scale does; of the clamp it is decide.
    if (kEmulated) CHECK(emulator::counters().earlyLaunches == (bound == &both.one ? 3 : 0));
  }
  both.checkMemory();
}

TEST_CASE("what is captured is not brought up early") {
  Both both(some(), "GRADCLIP_CUDA_DEPENDENT_LAUNCH");
  std::int64_t stream = 0, graph = 0;
  std::int32_t capture = -1;
  REQUIRE_OK(gradclip::cudaCreateStream(0, &stream));
  REQUIRE_OK(gradclip::cudaBeginCapture(0, stream));
  emulator::resetCounters();
  REQUIRE_OK(both.one->captureByNorm(stream, rule(Granularity::All, kL2, 1), &capture));
  REQUIRE_OK(gradclip::cudaFinishCapture(0, stream, &graph));
  REQUIRE_OK(gradclip::cudaLaunchGraph(0, graph, stream));
  REQUIRE_OK(gradclip::cudaSynchronizeStream(0, stream));
  if (kEmulated) CHECK(emulator::counters().launches == 3);
  if (kEmulated) CHECK(emulator::counters().earlyLaunches == 0);
  both.three.clip(rule(Granularity::All, kL2, 1));
  both.checkMemory();
  both.one->closeCapture(capture);
  REQUIRE_OK(gradclip::cudaDestroyGraph(0, graph));
  REQUIRE_OK(gradclip::cudaDestroyStream(0, stream));
}

#if defined(GRADCLIP_EMULATED)

TEST_CASE("as many tiles as two multiprocessors keep, and one more") {
  // Three blocks of eight warps a multiprocessor, a tile each; or one block, three each.
  constexpr std::size_t kTiles = 48, kElements = 2048;
  for (std::size_t elements : {kTiles * kElements - 1, kTiles * kElements, kTiles * kElements + 1}) {
    for (std::size_t offset : {0u, 3u}) {
      Both both({{DType::Float32, normal(DType::Float32, elements, 1, 1), offset}});
      const Rule half = rule(Granularity::All, kL2, 1);
      const Slot want = both.three.clip(half);
      emulator::resetCounters();
      const Slot got = both.one.clip(half);
      CHECK(emulator::counters().launches == (elements <= kTiles * kElements ? 1 : 3));
      both.checkSlots(got, want);
      both.checkMemory();
    }
  }
}

TEST_CASE("an element is read once") {
  constexpr std::int64_t kTiles = 30, kVectors = 512;
  Both both({{DType::Float32, normal(DType::Float32, kTiles * 2048, 1, 1)}});
  const auto accesses = [](Bound& bound) {
    emulator::resetCounters();
    bound.clip(rule(Granularity::All, kL2, 1));
    return emulator::counters().accesses;
  };
  const std::int64_t three = accesses(both.three), one = accesses(both.one);
  CHECK(three >= 3 * kTiles * kVectors);
  CHECK(one >= 2 * kTiles * kVectors);
  // Beside elements: pieces, partials, results.
  CHECK(one < (2 * kVectors + 32 * 8) * kTiles);
}

#endif
