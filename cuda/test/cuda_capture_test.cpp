// SPDX-License-Identifier: Apache-2.0
// Clips that are part of a graph: replayed, with other numbers, and what a capture refuses.
#include "cuda_graphs.hpp"

namespace {

std::vector<Tensor> some() {
  return {{DType::Float32, normal(DType::Float32, 3000, 1, 1)},
          {DType::BFloat16, normal(DType::BFloat16, 77, 1, 2), 1},
          {DType::Float64, normal(DType::Float64, 5000, 1, 3)}};
}

void checkScaled(Bound& bound, double coefficient) {
  for (std::size_t i = 0; i < bound.tensors.size(); ++i) {
    Bits want = bound.tensors[i].elements;
    for (auto& bits : want) bits = reference::scaled(bound.tensors[i].dtype, bits, coefficient);
    REQUIRE(bound.now(i) == want);
  }
}

Rule l2(double maxNorm) { return normRule(Granularity::All, kL2, maxNorm, 0, Policy::Propagate); }

}  // namespace

TEST_CASE("a captured clip runs at each replay, with the numbers it was given last") {
  Bound bound(some());
  const Stream stream;
  const double norm = referenceNorm(NormKind::L2, bound.tensors).value();
  std::int32_t capture = -1;
  emulator::resetCounters();
  Graph graph(stream, [&] { REQUIRE_OK(bound->captureByNorm(stream, l2(norm / 2), &capture)); });
  if (kEmulated) CHECK(emulator::counters().launches == 0);
  CHECK(latest(bound, capture).ticket == 0);
  graph.replay();
  graph.wait();
  if (kEmulated) CHECK(emulator::counters().launches == 3);
  if (kEmulated) CHECK(emulator::counters().copiesToDevice == 0);
  CHECK(latest(bound, capture).ticket == 1);
  CHECK(latest(bound, capture).globalNorm == norm);
  CHECK(latest(bound, capture).coefficient == 0.5);
  checkScaled(bound, 0.5);
  bound.restore();
  REQUIRE_OK(bound->setNumbers(stream, capture, normRule(Granularity::All, kL2, norm / 4, 0, Policy::Propagate)));
  graph.replay();
  graph.wait();
  CHECK(latest(bound, capture).ticket == 2);
  CHECK(latest(bound, capture).coefficient == 0.25);
  checkScaled(bound, 0.25);
  bound.restore();
  REQUIRE_OK(
      bound->setNumbers(stream, capture, normRule(Granularity::All, kL2, __builtin_inf(), 0, Policy::Propagate)));
  graph.replay();
  graph.replay();
  graph.wait();
  CHECK(latest(bound, capture).ticket == 4);
  CHECK(latest(bound, capture).coefficient == 1);
  checkScaled(bound, 1);
}

TEST_CASE("a threshold of infinity may be captured and become finite") {
  Bound bound(some());
  const Stream stream;
  const double norm = referenceNorm(NormKind::L2, bound.tensors).value();
  std::int32_t capture = -1;
  Graph graph(stream, [&] { REQUIRE_OK(bound->captureByNorm(stream, l2(__builtin_inf()), &capture)); });
  REQUIRE_OK(bound->setNumbers(stream, capture, normRule(Granularity::All, kL2, norm / 2, 0, Policy::Propagate)));
  graph.replay();
  graph.wait();
  checkScaled(bound, 0.5);
}

TEST_CASE("captured per-tensor clips and clamps take other numbers too") {
  Bound bound(some());
  const Stream stream;
  std::int32_t perTensor = -1, clamp = -1, looking = -1;
  Graph norms(stream, [&] {
    REQUIRE_OK(
        bound->captureByNorm(stream, normRule(Granularity::Segment, kL2, 1e9, 0, Policy::Propagate), &perTensor));
  });
  Graph clamps(stream, [&] { REQUIRE_OK(bound->captureByValue(stream, valueRule(-9, 9, Policy::Propagate), &clamp)); });
  Graph lookingClamps(stream,
                      [&] { REQUIRE_OK(bound->captureByValue(stream, valueRule(-9, 9, Policy::Skip), &looking)); });
  CHECK(perTensor != clamp);
  norms.replay();
  clamps.replay();
  lookingClamps.replay();
  norms.wait();
  checkScaled(bound, 1);
  CHECK(latest(bound, clamp).changed == 0);
  CHECK(latest(bound, looking).changed == 0);
  REQUIRE_OK(bound->setNumbers(stream, perTensor, normRule(Granularity::All, kL2, 1, 0, Policy::Propagate)));
  norms.replay();
  norms.wait();
  for (std::size_t i = 0; i < bound.tensors.size(); ++i) {
    CHECK(bound.norm(kL2, i, i + 1) > 1);
    CHECK(bound.coefficient(i) == 1 / bound.norm(kL2, i, i + 1));
  }
  bound.restore();
  REQUIRE_OK(bound->setNumbers(stream, looking, valueRule(-0.5, 0.25, Policy::Propagate)));
  lookingClamps.replay();
  lookingClamps.wait();
  CHECK(latest(bound, looking).changed > 1000);
  CHECK(latest(bound, clamp).ticket == 1);
  CHECK(bound.clipByValue(valueRule(-0.5, 0.25, Policy::Propagate)).changed == 0);
}

TEST_CASE("a captured clip reads a norm anew at each replay") {
  Bound bound(some());
  const Stream stream;
  std::int64_t at = 0;
  REQUIRE_OK(gradclip::cudaAllocate(0, 8, &at));
  std::int32_t capture = -1;
  Graph graph(stream, [&] {
    REQUIRE_OK(bound->captureWithNorm(stream, l2(1), {0.0, at, 0, 0}, &capture));
  });
  for (double norm : {4.0, 8.0}) {
    bound.restore();
    REQUIRE_OK(gradclip::cudaCopyToDevice(0, stream, at, &norm, 8));
    graph.replay();
    graph.wait();
    CHECK(latest(bound, capture).globalNorm == norm);
    checkScaled(bound, 1 / norm);
  }
  REQUIRE_OK(gradclip::cudaRelease(0, at));
}

TEST_CASE("calls beside a captured clip keep their results and streams") {
  Bound bound(some());
  const Stream stream, other;
  const double norm = referenceNorm(NormKind::L2, bound.tensors).value();
  std::int64_t ticket = 0;
  REQUIRE_OK(bound->globalNorm(other, kL2, &ticket));
  std::int32_t capture = -1;
  Graph graph(stream, [&] { REQUIRE_OK(bound->captureByNorm(stream, l2(norm / 2), &capture)); });
  CHECK(bound.result(ticket).globalNorm == norm);
  CHECK(bound.globalNorm(kL2, other).globalNorm == norm);
  graph.replay();
  graph.wait();
  CHECK(bound.globalNorm(kL2, other).globalNorm == doctest::Approx(norm / 2).epsilon(1e-3));
  CHECK(latest(bound, capture).ticket == 1);
}

TEST_CASE("sixteen captured clips at once; a place is free again when one is closed, without its numbers") {
  Bound bound(some());
  const Stream stream;
  const double norm = referenceNorm(NormKind::L2, bound.tensors).value();
  std::int32_t capture = -1;
  const auto once = [&] { Graph(stream, [&] { REQUIRE_OK(bound->captureByNorm(stream, l2(norm / 2), &capture)); }); };
  for (unsigned i = 0; i < gradclip::kCaptures; ++i) once();
  CHECK(capture == gradclip::kCaptures - 1);
  REQUIRE_OK(bound->setNumbers(stream, 3, normRule(Granularity::All, kL2, norm / 8, 0, Policy::Propagate)));
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
  CHECK(bound->captureByNorm(stream, l2(1), &capture).code == cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  REQUIRE(cudaGraphDestroy(graph) == cudaSuccess);
  bound->closeCapture(3);
  Graph again(stream, [&] { REQUIRE_OK(bound->captureByNorm(stream, l2(norm / 2), &capture)); });
  CHECK(capture == 3);
  again.replay();
  again.wait();
  CHECK(latest(bound, 3).coefficient == 0.5);
}

TEST_CASE("what is refused leaves the capture and the plan as they were") {
  Bound bound(some());
  const Stream stream;
  std::int32_t capture = -1;
  std::int64_t ticket = 0;
  CHECK(bound->captureByNorm(stream, l2(1), &capture).code == cudaErrorStreamCaptureUnsupported);
  Graph empty(stream, [&] {
    CHECK(bound->globalNorm(stream, kL2, &ticket).code == cudaErrorStreamCaptureUnsupported);
    CHECK(bound->clipByValue(stream, valueRule(-1, 1, Policy::Propagate), &ticket).code ==
          cudaErrorStreamCaptureUnsupported);
  });
  bound.move(0);
  bound.rebind();
  Graph dirty(stream, [&] {
    const CudaStatus status = bound->captureByNorm(stream, l2(1), &capture);
    CHECK(status.code == cudaErrorStreamCaptureUnsupported);
    CHECK(std::strstr(status.call, "rebind") != nullptr);
  });
  CHECK(bound.globalNorm(kL2).globalNorm == referenceNorm(NormKind::L2, bound.tensors).value());
  Graph clean(stream, [&] { REQUIRE_OK(bound->captureByNorm(stream, l2(0), &capture)); });
  clean.replay();
  clean.wait();
  checkScaled(bound, 0);
}

TEST_CASE("a clip that leaves the coefficient to others") {
  Bound bound(some());
  const double norm = referenceNorm(NormKind::L2, bound.tensors).value();
  emulator::resetCounters();
  const Slot slot = bound.clip(l2(norm / 2), {true, false});
  if (kEmulated) CHECK(emulator::counters().launches == 2);
  CHECK(slot.coefficient == 0.5);
  CHECK(has(slot, gradclip::kClipped));
  CHECK(bound.coefficient(0) == 0.5);
  checkScaled(bound, 1);
}
