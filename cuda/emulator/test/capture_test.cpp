// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

namespace {

struct Add {
  unsigned* p;
  const unsigned* by;
};

__global__ void add(Add p) {
  if (threadIdx.x == 0) storeGlobal(p.p, loadGlobal<unsigned>(p.p) + loadGlobal<unsigned>(p.by));
}

struct Sums {
  Device<unsigned> value{std::vector<unsigned>{0}}, by{std::vector<unsigned>{1}};

  cudaError_t add(cudaStream_t stream) { return enqueue(::add, 1, 32, 0, stream, Add{value, by}); }
};

}  // namespace

TEST_CASE("a captured launch runs at each replay, with what its parameters point to then") {
  Sums sums;
  const TestStream stream;
  cudaStreamCaptureStatus status{};
  resetCounters();
  REQUIRE_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  REQUIRE_OK(cudaStreamIsCapturing(stream, &status));
  CHECK(status == cudaStreamCaptureStatusActive);
  REQUIRE_OK(sums.add(stream));
  REQUIRE_OK(sums.add(stream));
  cudaGraph_t graph = nullptr;
  REQUIRE_OK(cudaStreamEndCapture(stream, &graph));
  REQUIRE_OK(cudaStreamIsCapturing(stream, &status));
  CHECK(status == cudaStreamCaptureStatusNone);
  CHECK(counters().launches == 0);
  cudaGraphExec_t executable = nullptr;
  REQUIRE_OK(cudaGraphInstantiate(&executable, graph));
  REQUIRE_OK(cudaGraphDestroy(graph));
  REQUIRE_OK(cudaStreamSynchronize(stream));
  CHECK(sums.value.values()[0] == 0);
  REQUIRE_OK(cudaGraphLaunch(executable, stream));
  REQUIRE_OK(cudaStreamSynchronize(stream));
  CHECK(sums.value.values()[0] == 2);
  const unsigned ten = 10;
  REQUIRE_OK(cudaMemcpy(sums.by, &ten, sizeof(ten), cudaMemcpyHostToDevice));
  REQUIRE_OK(cudaGraphLaunch(executable, stream));
  REQUIRE_OK(cudaGraphLaunch(executable, stream));
  REQUIRE_OK(cudaStreamSynchronize(stream));
  CHECK(sums.value.values()[0] == 42);
  CHECK(counters().launches == 6);
  REQUIRE_OK(cudaGraphExecDestroy(executable));
  CHECK(cudaGraphLaunch(executable, stream) == cudaErrorInvalidValue);
  cudaGetLastError();
}

TEST_CASE("an event takes another stream into a capture, which must come back") {
  Sums sums;
  const TestStream a, b;
  const TestEvent fork, join;
  cudaGraph_t graph = nullptr;
  REQUIRE_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
  REQUIRE_OK(sums.add(a));
  REQUIRE_OK(cudaEventRecord(fork, a));
  REQUIRE_OK(cudaStreamWaitEvent(b, fork));
  REQUIRE_OK(sums.add(b));
  REQUIRE_OK(cudaEventRecord(join, b));
  CHECK(cudaEventQuery(join) == cudaErrorCapturedEvent);
  REQUIRE_OK(cudaStreamWaitEvent(a, join));
  REQUIRE_OK(cudaStreamEndCapture(a, &graph));
  cudaGraphExec_t executable = nullptr;
  REQUIRE_OK(cudaGraphInstantiate(&executable, graph));
  REQUIRE_OK(cudaGraphLaunch(executable, b));
  REQUIRE_OK(cudaStreamSynchronize(b));
  CHECK(sums.value.values()[0] == 2);
  REQUIRE_OK(cudaGraphExecDestroy(executable));
  REQUIRE_OK(cudaGraphDestroy(graph));

  REQUIRE_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
  REQUIRE_OK(cudaEventRecord(fork, a));
  REQUIRE_OK(cudaStreamWaitEvent(b, fork));
  REQUIRE_OK(sums.add(b));
  CHECK(cudaStreamEndCapture(a, &graph) == cudaErrorStreamCaptureUnjoined);
  CHECK(graph == nullptr);
  REQUIRE_OK(sums.add(b));
  REQUIRE_OK(cudaStreamSynchronize(b));
  CHECK(sums.value.values()[0] == 3);
  cudaGetLastError();
}

TEST_CASE("what a capture forbids") {
  Sums sums;
  const TestStream stream(cudaStreamDefault), other;
  const TestEvent event;
  cudaGraph_t graph = nullptr;
  const auto begin = [&] { REQUIRE_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed)); };
  const auto invalid = [&] {
    cudaStreamCaptureStatus status{};
    REQUIRE_OK(cudaStreamIsCapturing(stream, &status));
    CHECK(status == cudaStreamCaptureStatusInvalidated);
    CHECK(sums.add(stream) == cudaErrorStreamCaptureInvalidated);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
  };
  begin();
  CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
  invalid();
  begin();
  CHECK(cudaStreamQuery(stream) == cudaErrorStreamCaptureUnsupported);
  invalid();
  begin();
  CHECK(cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported);
  invalid();
  begin();
  CHECK(sums.add(nullptr) == cudaErrorStreamCaptureImplicit);
  invalid();
  begin();
  REQUIRE_OK(cudaEventRecord(event, other));
  CHECK(cudaStreamWaitEvent(stream, event) == cudaErrorStreamCaptureIsolation);
  invalid();
  CHECK(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeRelaxed) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorIllegalState);
  REQUIRE_OK(sums.add(stream));
  REQUIRE_OK(cudaStreamSynchronize(stream));
  CHECK(sums.value.values()[0] == 1);
  cudaGetLastError();
}
