// SPDX-License-Identifier: Apache-2.0
// Updates of weights with clipped gradients on the device, against common/update.hpp element by element on the host.
#include "common/update.hpp"
#include "cuda_graphs.hpp"

using gradclip::kClipped;
using gradclip::kNonFinite;
using gradclip::SegmentUpdate;
using gradclip::TensorProgress;
using gradclip::UpdateForm;
using gradclip::UpdateNumbers;
using gradclip::UpdateStep;

namespace {

UpdateNumbers sgd(double rate) { return {0, 0, rate, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0}; }

UpdateNumbers momentum(double rate, std::int32_t flags = 0) {
  return {1, flags, rate, 0.01, 0.9, flags == 0 ? 0.3 : 0.0, 0.0, 0.0, 0.0};
}

UpdateNumbers adam(double rate, std::int32_t flags) { return {2, flags, rate, 0.02, 0.0, 0.0, 0.9, 0.999, 1e-8}; }

std::vector<UpdateNumbers> everyForm() {
  UpdateNumbers sgdOfMasters = sgd(0.001);
  sgdOfMasters.flags |= gradclip::kMasterWeights;
  return {sgd(0.1),
          momentum(0.05),
          momentum(0.05, gradclip::kNesterov),
          adam(0.01, 0),
          adam(0.01, gradclip::kDecoupled),
          sgdOfMasters,
          adam(0.001, gradclip::kDecoupled | gradclip::kMasterWeights)};
}

/// Tensors of weights and their state on the host.
struct Model {
  UpdateNumbers numbers;
  std::vector<Tensor> gradients, weights;
  std::vector<std::vector<double>> first, second, master;
  std::vector<TensorProgress> progress;

  Model(const UpdateNumbers& update, const std::vector<Tensor>& g, const std::vector<Tensor>& w)
      : numbers(update), gradients(g), weights(w) {
    for (const Tensor& tensor : w) {
      first.emplace_back(tensor.elements.size());
      second.emplace_back(tensor.elements.size());
      master.emplace_back(hasMaster(tensor) ? tensor.elements.size() : 0);
      progress.push_back({0, 1.0, 1.0, 0.0});
    }
  }

  bool hasMaster(const Tensor& w) const {
    return (numbers.flags & gradclip::kMasterWeights) != 0 && gradclip::elementBytes(w.dtype) == 2;
  }

  template <class A>
  std::int64_t stepOf(std::size_t i, const SegmentUpdate& segment, bool zero) {
    const UpdateStep<A> u(numbers, segment);
    std::int64_t changed = 0;
    Tensor &g = gradients[i], &w = weights[i];
    for (std::size_t k = 0; k < g.elements.size(); ++k) {
      if (zero) g.elements[k] = reference::finite(g.dtype, g.elements[k]);
      A x = u.clipped(static_cast<A>(reference::decode(g.dtype, g.elements[k])));
      changed += u.clamp(x) ? 1 : 0;
      const bool fromMaster = hasMaster(w) && !u.first;
      A p = static_cast<A>(fromMaster ? master[i][k] : reference::decode(w.dtype, w.elements[k]));
      A a = static_cast<A>(first[i][k]), b = static_cast<A>(second[i][k]);
      switch (static_cast<UpdateForm>(numbers.form)) {
        case UpdateForm::Sgd:
          u.sgd(x, p);
          break;
        case UpdateForm::SgdMomentum:
          u.sgdMomentum(x, p, a);
          break;
        case UpdateForm::Adam:
          u.adam(x, p, a, b);
          break;
      }
      first[i][k] = a;
      second[i][k] = b;
      w.elements[k] = reference::encode(w.dtype, p);
      if (hasMaster(w)) master[i][k] = p;
      if ((numbers.flags & gradclip::kZeroGradients) != 0) g.elements[k] = 0;
    }
    return changed;
  }

  std::int64_t step(std::size_t i, double coefficient, double min = -reference::kInf, double max = reference::kInf,
                    bool zero = false) {
    TensorProgress& own = progress[i];
    SegmentUpdate segment = {coefficient, min, max, numbers.learningRate, 1.0, own.steps == 0 ? 1.0 : 0.0};
    if (numbers.form == 2) {
      segment.stepSize = numbers.learningRate / (1.0 - own.power1 * numbers.beta1);
      segment.rootCorrection2 = std::sqrt(1.0 - own.power2 * numbers.beta2);
      own.power1 *= numbers.beta1;
      own.power2 *= numbers.beta2;
    }
    ++own.steps;
    return weights[i].dtype == DType::Float64 ? stepOf<double>(i, segment, zero) : stepOf<float>(i, segment, zero);
  }
};

/// The same on the device; a tensor's gradient is one piece.
struct Device {
  Model model;
  Bound bound;

  explicit Device(const Model& like) : model(like), bound(both(like), like.weights.size()) {
    std::vector<std::int32_t> firstPiece;
    for (std::size_t i = 0; i <= model.weights.size(); ++i) firstPiece.push_back(static_cast<std::int32_t>(i));
    REQUIRE_OK(bound->createUpdates({model.numbers.form, (model.numbers.flags & gradclip::kMasterWeights) != 0,
                                     static_cast<std::int32_t>(model.weights.size()), firstPiece.data()}));
  }

  static std::vector<Tensor> both(const Model& model) {
    std::vector<Tensor> all = model.gradients;
    all.insert(all.end(), model.weights.begin(), model.weights.end());
    return all;
  }

  Slot byNorm(const Rule& rule) {
    std::int64_t ticket = 0;
    REQUIRE_OK(bound->stepByNorm(0, rule, model.numbers, &ticket));
    return bound.result(ticket);
  }

  Slot byValue(const Rule& rule) {
    std::int64_t ticket = 0;
    REQUIRE_OK(bound->stepByValue(0, rule, model.numbers, &ticket));
    return bound.result(ticket);
  }

  /// A step by a norm rule, on both; the coefficients are the device's, which other tests check.
  void stepBoth(const Rule& rule) {
    byNorm(rule);
    for (std::size_t i = 0; i < model.weights.size(); ++i) model.step(i, bound.coefficient(i));
  }

  void check() {
    const std::size_t n = model.weights.size();
    for (std::size_t i = 0; i < n; ++i) {
      INFO("tensor " << i << " form " << model.numbers.form);
      REQUIRE(bound.now(i) == model.gradients[i].elements);
      REQUIRE(bound.now(n + i) == model.weights[i].elements);
      REQUIRE(bound.before(n + i) == std::vector<std::uint8_t>(bound.before(n + i).size()));
      checkState(i);
      TensorProgress found{};
      const auto bytes =
          readDevice(bound->progressAddress() + static_cast<std::int64_t>(i * sizeof found), sizeof found);
      std::memcpy(&found, bytes.data(), sizeof found);
      CHECK(found.steps == model.progress[i].steps);
      CHECK(found.power1 == model.progress[i].power1);
      CHECK(found.power2 == model.progress[i].power2);
    }
  }

  void checkState(std::size_t i) {
    const DType dtype = model.weights[i].dtype == DType::Float64 ? DType::Float64 : DType::Float32;
    for (std::int32_t slot = 0; slot <= model.numbers.form; ++slot) {
      const bool isMaster = slot == model.numbers.form;
      const std::vector<double>& want = isMaster ? model.master[i] : slot == 0 ? model.first[i] : model.second[i];
      if (want.empty()) continue;
      const std::int64_t address = bound->updateStateAddress(slot, static_cast<std::int32_t>(i));
      const auto bytes = static_cast<std::size_t>(gradclip::elementBytes(dtype)) * want.size();
      Bits encoded;
      for (double value : want) encoded.push_back(reference::encode(dtype, value));
      REQUIRE(load(dtype, want.size(), readDevice(address, bytes).data()) == encoded);
    }
  }
};

/// Each type of gradient beside each of weights that goes with it; lengths around rows and tiles, at odd elements too.
Model everyPair(const UpdateNumbers& numbers) {
  std::vector<Tensor> gradients, weights;
  unsigned seed = 1;
  for (DType g : kAllTypes) {
    for (DType w : kAllTypes) {
      if ((g == DType::Float64) != (w == DType::Float64)) continue;
      const auto tile = static_cast<std::size_t>(gradclip::tileElements(g));
      for (std::size_t count : {std::size_t{1}, std::size_t{77}, tile, 2 * tile + 5}) {
        gradients.push_back({g, normal(g, count, 1, seed++), seed % 3 == 0 ? 1u : 0u});
        weights.push_back({w, normal(w, count, 1, seed++), seed % 5 == 0 ? 1u : 0u});
      }
    }
  }
  gradients.push_back({DType::Float32, {}});
  weights.push_back({DType::Float32, {}});
  return {numbers, gradients, weights};
}

constexpr Granularity kGranularities[] = {Granularity::All, Granularity::Segment};

}  // namespace

TEST_CASE("every form, every pair of types, three steps by norm: the host's bits") {
  for (const UpdateNumbers& numbers : everyForm()) {
    for (Granularity granularity : kGranularities) {
      Device device(everyPair(numbers));
      for (int step = 0; step < 3; ++step) device.stepBoth(normRule(granularity, kL2, 5.0, 1e-6, Policy::Propagate));
      device.check();
    }
  }
}

TEST_CASE("coefficients that need doubles, and that change nothing") {
  for (double max : {1e-33, 1e300}) {
    Device device(everyPair(adam(0.01, gradclip::kDecoupled)));
    device.stepBoth(normRule(Granularity::All, kL2, max, 0, Policy::Propagate));
    device.check();
  }
}

TEST_CASE("the gradients become 0 on request") {
  for (UpdateNumbers numbers : everyForm()) {
    numbers.flags |= gradclip::kZeroGradients;
    Device device(everyPair(numbers));
    device.stepBoth(normRule(Granularity::All, kL1, 5.0, 1e-6, Policy::Propagate));
    device.check();
  }
}

TEST_CASE("limits: the host's bits and counts") {
  for (const UpdateNumbers& numbers : everyForm()) {
    for (double inverseScale : {1.0, 0.25}) {
      for (Policy policy : {Policy::Propagate, Policy::Error, Policy::Skip, Policy::Zero}) {
        Device device(everyPair(numbers));
        Rule rule = valueRule(-0.25, 0.5, policy);
        rule.limit.inverseScale = inverseScale;
        for (int step = 0; step < 2; ++step) {
          const Slot slot = device.byValue(rule);
          std::int64_t changed = 0;
          for (std::size_t i = 0; i < device.model.weights.size(); ++i)
            changed += device.model.step(i, inverseScale, -0.25, 0.5);
          CHECK(slot.changed == changed);
          CHECK(has(slot, kClipped));
          CHECK_FALSE(has(slot, kNonFinite));
        }
        device.check();
      }
    }
  }
}

TEST_CASE("a NaN or an infinity under each policy") {
  for (const UpdateNumbers& numbers : everyForm()) {
    for (double value : {reference::kInf, reference::kNaN}) {
      for (bool byValue : {false, true}) {
        for (Policy policy : {Policy::Propagate, Policy::Error, Policy::Skip, Policy::Zero}) {
          Model model = everyPair(numbers);
          for (std::size_t i : {3u, 7u, 11u}) {
            Tensor& bad = model.gradients[i];
            bad.elements[bad.elements.size() / 2] = reference::encode(bad.dtype, value);
          }
          Device device(model);
          const Slot slot = byValue ? device.byValue(valueRule(-0.25, 0.5, policy))
                                    : device.byNorm(normRule(Granularity::All, kL2, 5.0, 1e-6, policy));
          CHECK(has(slot, kNonFinite) == !(byValue && policy == Policy::Propagate));
          CHECK(has(slot, gradclip::kRefused) == (policy == Policy::Error));
          if (policy == Policy::Error || policy == Policy::Skip) {
            CHECK(slot.badSegment == 3);
          } else {
            const double limit = byValue ? 0.5 : reference::kInf, least = byValue ? -0.25 : -reference::kInf;
            for (std::size_t i = 0; i < device.model.weights.size(); ++i) {
              device.model.step(i, byValue ? 1.0 : device.bound.coefficient(i), least, limit, policy == Policy::Zero);
            }
          }
          device.check();
        }
      }
    }
  }
}

TEST_CASE("an absent gradient leaves weights, state and steps") {
  Device device(everyPair(adam(0.01, 0)));
  const Rule rule = normRule(Granularity::All, kL2, 5.0, 1e-6, Policy::Propagate);
  const std::size_t absent = 6;
  for (int step = 0; step < 4; ++step) {
    const bool here = step % 2 == 0;
    here ? device.bound.comeBack(absent) : device.bound.drop(absent);
    device.bound.rebind();
    device.byNorm(rule);
    for (std::size_t i = 0; i < device.model.weights.size(); ++i) {
      if (here || i != absent) device.model.step(i, device.bound.coefficient(i));
    }
  }
  device.bound.comeBack(absent);
  device.bound.rebind();
  device.check();
}

TEST_CASE("thousands of tensors, some of them absent: each that is present counts its step") {
  constexpr std::size_t kTensors = 2500;
  const std::vector<Tensor> each(kTensors, {DType::Float32, normal(DType::Float32, 1, 1, 3)});
  Device device(Model(adam(0.01, 0), each, each));
  for (std::size_t i = 0; i < kTensors; i += 7) device.bound.drop(i);
  device.bound.rebind();
  const Rule rule = normRule(Granularity::All, kL2, 5.0, 1e-6, Policy::Propagate);
  for (int step = 0; step < 2; ++step) device.byNorm(rule);
  const auto bytes = readDevice(device.bound->progressAddress(), kTensors * sizeof(TensorProgress));
  for (std::size_t i = 0; i < kTensors; ++i) {
    TensorProgress progress{};
    std::memcpy(&progress, bytes.data() + i * sizeof progress, sizeof progress);
    INFO("tensor " << i);
    REQUIRE(progress.steps == (i % 7 == 0 ? 0 : 2));
    REQUIRE(progress.power1 == (i % 7 == 0 ? 1.0 : 0.9 * 0.9));
  }
}

TEST_CASE("a tensor without elements counts its step where it is present") {
  Device device(everyPair(adam(0.01, 0)));
  const Rule rule = normRule(Granularity::All, kL2, 5.0, 1e-6, Policy::Propagate);
  const std::size_t empty = device.model.weights.size() - 1;
  REQUIRE(device.model.weights[empty].elements.empty());
  for (bool here : {true, false, true}) {
    here ? device.bound.comeBack(empty) : device.bound.drop(empty);
    device.bound.rebind();
    device.byNorm(rule);
    for (std::size_t i = 0; i <= empty; ++i) {
      if (here || i != empty) device.model.step(i, device.bound.coefficient(i));
    }
  }
  device.check();
}

TEST_CASE("a step is at most three launches and nothing else") {
  Device device(everyPair(adam(0.01, 0)));
  const auto launches = [&](const Rule& rule, bool clamps) {
    std::int64_t ticket = 0;
    if (clamps) {
      REQUIRE_OK(device.bound->stepByValue(0, rule, device.model.numbers, &ticket));
    } else {
      REQUIRE_OK(device.bound->stepByNorm(0, rule, device.model.numbers, &ticket));
    }
    const emulator::Counters counted = emulator::counters();
    emulator::resetCounters();
    CHECK(counted.allocations + counted.copiesToDevice + counted.copiesToHost + counted.synchronisations == 0);
    return counted.launches;
  };
  if (!kEmulated) return;
  emulator::resetCounters();
  for (Policy policy : {Policy::Propagate, Policy::Error, Policy::Skip, Policy::Zero}) {
    for (Granularity granularity : kGranularities)
      CHECK(launches(normRule(granularity, kL2, 5.0, 1e-6, policy), false) == 3);
    const bool looks = policy == Policy::Error || policy == Policy::Skip;
    CHECK(launches(valueRule(-1, 1, policy), true) == (looks ? 3 : 1));
  }
}

namespace {

/// A model's steps as part of a graph.
struct Captured {
  Device device;
  Stream stream;
  std::int32_t capture = -1;
  Graph graph;

  Captured(const Model& model, const Rule& rule, bool clamps)
      : device(model), graph(stream, [&] {
          CudaPlan& plan = *device.bound.operator->();
          const UpdateNumbers& numbers = device.model.numbers;
          REQUIRE_OK(clamps ? plan.captureStepByValue(stream, rule, numbers, &capture)
                            : plan.captureStepByNorm(stream, rule, numbers, &capture));
        }) {}

  /// Replays, which is at most three launches and nothing else.
  Slot replay() {
    emulator::resetCounters();
    graph.replay();
    const emulator::Counters counted = emulator::counters();
    CHECK(counted.launches <= 3);
    CHECK(counted.allocations + counted.copiesToDevice + counted.copiesToHost + counted.synchronisations == 0);
    graph.wait();
    return latest(device.bound, capture);
  }
};

void put(Device& device, std::size_t i, const Bits& elements) {
  Tensor& gradient = device.model.gradients[i];
  gradient.elements = elements;
  std::vector<std::uint8_t> bytes(gradient.bytes());
  store(gradient.dtype, elements, bytes.data());
  writeDevice(device.bound.table[i].address, bytes);
}

void checkSame(Device& captured, Device& plain) {
  for (std::size_t i = 0; i < plain.model.weights.size(); ++i) {
    const std::size_t at = i + plain.model.weights.size();
    INFO("tensor " << i << " form " << plain.model.numbers.form);
    REQUIRE(captured.bound.now(i) == plain.bound.now(i));
    REQUIRE(captured.bound.now(at) == plain.bound.now(at));
    const auto tensor = static_cast<std::int32_t>(i);
    const auto own = static_cast<std::int64_t>(i * sizeof(TensorProgress));
    REQUIRE(readDevice(captured.bound->progressAddress() + own, sizeof(TensorProgress)) ==
            readDevice(plain.bound->progressAddress() + own, sizeof(TensorProgress)));
    const bool isDouble = plain.model.weights[i].dtype == DType::Float64;
    const std::size_t bytes = (isDouble ? 8 : 4) * plain.model.weights[i].elements.size();
    const std::int32_t slots = plain.model.numbers.form + (plain.model.hasMaster(plain.model.weights[i]) ? 1 : 0);
    for (std::int32_t slot = 0; slot < slots; ++slot) {
      REQUIRE(readDevice(captured.bound->updateStateAddress(slot, tensor), bytes) ==
              readDevice(plain.bound->updateStateAddress(slot, tensor), bytes));
    }
  }
}

/// Some of every pair, so that a hundred steps end soon.
Model somePairs(const UpdateNumbers& numbers) {
  const Model all = everyPair(numbers);
  std::vector<Tensor> gradients, weights;
  for (std::size_t i : {1u, 7u, 14u, 19u, 26u, 30u, 40u}) {
    gradients.push_back(all.gradients[i]);
    weights.push_back(all.weights[i]);
  }
  return {numbers, gradients, weights};
}

}  // namespace

TEST_CASE("a captured step, replayed a hundred times, with other numbers halfway: the bits of a hundred steps") {
  for (const UpdateNumbers& numbers : everyForm()) {
    for (bool clamps : {false, true}) {
      const Rule rule =
          clamps ? valueRule(-0.25, 0.5, Policy::Skip) : normRule(Granularity::Segment, kL2, 5.0, 1e-6, Policy::Skip);
      const Model model = somePairs(numbers);
      Captured captured(model, rule, clamps);
      Device plain(model);
      UpdateNumbers now = numbers;
      for (int step = 0; step < 100; ++step) {
        if (step == 50) {
          now.learningRate /= 8;
          now.weightDecay /= 2;
          now.beta1 *= 0.75;
          REQUIRE_OK(captured.device.bound->setUpdate(captured.stream, captured.capture, now));
          plain.model.numbers = now;
        }
        // Nothing moves where a gradient is not finite, and no step is counted.
        const bool bad = step % 20 == 7;
        Bits elements = model.gradients[2].elements;
        if (bad) elements[elements.size() / 2] = reference::encode(model.gradients[2].dtype, reference::kNaN);
        put(captured.device, 2, elements);
        put(plain, 2, elements);
        const Slot slot = captured.replay();
        const Slot want = clamps ? plain.byValue(rule) : plain.byNorm(rule);
        CHECK(slot.ticket == step + 1);
        CHECK(slot.flags == want.flags);
        CHECK(slot.changed == want.changed);
        CHECK(has(slot, kNonFinite) == bad);
      }
      checkSame(captured.device, plain);
      TensorProgress progress{};
      std::memcpy(&progress, readDevice(plain.bound->progressAddress(), sizeof progress).data(), sizeof progress);
      CHECK(progress.steps == 95);
    }
  }
}

TEST_CASE("a captured step takes other limits, and keeps its update's numbers") {
  for (bool clamps : {false, true}) {
    const auto ruleOf = [&](double limit) {
      Rule rule = clamps ? valueRule(-limit, limit, Policy::Propagate)
                         : normRule(Granularity::All, kL2, limit, 1e-6, Policy::Propagate);
      rule.limit.inverseScale = limit;
      return rule;
    };
    const Model model = somePairs(adam(0.01, gradclip::kDecoupled));
    Captured captured(model, ruleOf(0.5), clamps);
    Device plain(model);
    for (double limit : {0.5, 0.25, 2.0}) {
      REQUIRE_OK(captured.device.bound->setNumbers(captured.stream, captured.capture, ruleOf(limit)));
      captured.replay();
      clamps ? plain.byValue(ruleOf(limit)) : plain.byNorm(ruleOf(limit));
    }
    checkSame(captured.device, plain);
  }
}

TEST_CASE("a captured step that takes the place of another has the numbers of its own capture") {
  const Rule rule = normRule(Granularity::All, kL2, 5.0, 1e-6, Policy::Propagate);
  const Model model = somePairs(sgd(0.1));
  Captured captured(model, rule, false);
  Device plain(model);
  REQUIRE_OK(captured.device.bound->setUpdate(captured.stream, captured.capture, sgd(0.7)));
  captured.device.bound->closeCapture(captured.capture);
  std::int32_t again = -1;
  Graph graph(captured.stream,
              [&] { REQUIRE_OK(captured.device.bound->captureStepByNorm(captured.stream, rule, sgd(0.1), &again)); });
  CHECK(again == captured.capture);
  graph.replay();
  graph.wait();
  plain.byNorm(rule);
  checkSame(captured.device, plain);
}

TEST_CASE("refused captures speak of steps, and leave all as it was") {
  const auto says = [](const CudaStatus& status, const char* word) {
    CHECK(status.code == cudaErrorStreamCaptureUnsupported);
    CHECK(std::strstr(status.call, "step") != nullptr);
    CHECK(std::strstr(status.call, word) != nullptr);
  };
  const Rule rule = normRule(Granularity::All, kL2, 5.0, 1e-6, Policy::Propagate);
  Device device(somePairs(sgd(0.1)));
  const Stream stream;
  std::int64_t ticket = 0;
  std::int32_t capture = -1;
  says(device.bound->captureStepByNorm(stream, rule, sgd(0.1), &capture), "captures nothing");
  Graph empty(stream, [&] {
    says(device.bound->stepByNorm(stream, rule, sgd(0.1), &ticket), "CapturedStep");
    says(device.bound->stepByValue(stream, valueRule(-1, 1, Policy::Skip), sgd(0.1), &ticket), "CapturedStep");
  });
  device.bound.move(0);
  device.bound.rebind();
  Graph dirty(stream, [&] {
    says(device.bound->captureStepByNorm(stream, rule, sgd(0.1), &capture), "rebind");
    CHECK_FALSE(device.bound->captureStepByNorm(stream, rule, adam(0.1, 0), &capture).ok());
  });
  CHECK_FALSE(device.bound->setUpdate(stream, 0, adam(0.1, 0)).ok());
  UpdateNumbers ofMasters = device.model.numbers;
  ofMasters.flags ^= gradclip::kMasterWeights;
  CHECK_FALSE(device.bound->setUpdate(stream, 0, ofMasters).ok());
  device.check();
}

TEST_CASE("launches that wait for each other: the same bits") {
  setenv("GRADCLIP_CUDA_DEPENDENT_LAUNCH", "0", 1);
  Device device(everyPair(adam(0.01, gradclip::kDecoupled)));
  unsetenv("GRADCLIP_CUDA_DEPENDENT_LAUNCH");
  for (int step = 0; step < 3; ++step) device.stepBoth(normRule(Granularity::Segment, kL2, 5.0, 1e-6, Policy::Skip));
  device.check();
}

TEST_CASE("what does not fit is refused") {
  const Model model = everyPair(sgd(0.1));
  Bound without(model.gradients);
  std::vector<std::int32_t> firstPiece = {0, static_cast<std::int32_t>(model.gradients.size())};
  CHECK_FALSE(without->createUpdates({0, false, 1, firstPiece.data()}).ok());
  Device device(model);
  CHECK_FALSE(device.bound->createUpdates({0, false, 1, firstPiece.data()}).ok());
  std::int64_t ticket = 0;
  const Rule rule = normRule(Granularity::All, kL2, 5.0, 1e-6, Policy::Propagate);
  CHECK_FALSE(device.bound->stepByNorm(0, rule, adam(0.1, 0), &ticket).ok());
  device.check();
}
