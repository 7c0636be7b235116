// SPDX-License-Identifier: Apache-2.0
// In a process whose streams, captures and contexts belong to somebody else.
#include <cuda_runtime.h>

#include <cstring>
#include <thread>

#include "cuda_support.hpp"

namespace {

std::vector<Tensor> some() {
  return {{DType::Float32, normal(DType::Float32, 3000, 1)}, {DType::BFloat16, normal(DType::BFloat16, 77, 1)}};
}

/// A stream of a framework.
struct Stream {
  explicit Stream(int device = 0) {
    REQUIRE_OK(gradclip::cudaCreateStream(device, &handle));
    device_ = device;
  }
  ~Stream() {
    if (handle != 0) CHECK(gradclip::cudaDestroyStream(device_, handle).ok());
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t cuda() const { return reinterpret_cast<cudaStream_t>(static_cast<std::uintptr_t>(handle)); }

  std::int64_t handle = 0;

 private:
  int device_ = 0;
};

double normOf(const Bound& bound) { return referenceNorm(NormKind::L2, bound.tensors).value(); }

cudaStreamCaptureStatus captureOf(const Stream& stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  REQUIRE(cudaStreamIsCapturing(stream.cuda(), &status) == cudaSuccess);
  return status;
}

void endCapture(const Stream& stream) {
  cudaGraph_t graph = nullptr;
  REQUIRE(cudaStreamEndCapture(stream.cuda(), &graph) == cudaSuccess);
  REQUIRE(cudaGraphDestroy(graph) == cudaSuccess);
}

/// Devices beside the first, where the emulator was told to have some.
int devices() { return gradclip::cudaDevices(); }

}  // namespace

TEST_CASE("the stream used before is captured now: a clip elsewhere neither joins that capture nor breaks it") {
  Bound bound(some());
  const Stream before, now;
  std::int64_t ticket = 0;
  REQUIRE_OK(bound->globalNorm(before.handle, kL2, &ticket));
  REQUIRE(cudaStreamBeginCapture(before.cuda(), cudaStreamCaptureModeGlobal) == cudaSuccess);
  REQUIRE_OK(bound->globalNorm(now.handle, kL2, &ticket));
  CHECK(captureOf(now) == cudaStreamCaptureStatusNone);
  bool overwritten = true;
  REQUIRE_OK(bound->await(ticket, &overwritten));
  CHECK_FALSE(overwritten);
  CHECK(captureOf(before) == cudaStreamCaptureStatusActive);
  endCapture(before);
  CHECK(bound.result(ticket).globalNorm == normOf(bound));
}

TEST_CASE("work on the stream before comes first all the same") {
  Bound bound(some());
  const double norm = normOf(bound);
  std::int64_t first = 0, second = 0;
  {
    const Stream before;
    REQUIRE_OK(
        bound->clipByNorm(before.handle, normRule(Granularity::All, kL2, norm / 2, 0, Policy::Error), {}, &first));
  }
  const Stream now;
  REQUIRE_OK(bound->globalNorm(now.handle, kL2, &second));
  CHECK(bound.result(second).globalNorm == doctest::Approx(norm / 2).epsilon(1e-3));
  CHECK(bound.result(first).globalNorm == norm);
}

TEST_CASE("a call on a stream that can't be used is refused, and the next one works") {
  Bound bound(some());
  const Stream good;
  std::int64_t ticket = 0, gone = 0;
  REQUIRE_OK(bound->globalNorm(good.handle, kL2, &ticket));
  {
    const Stream shortlived;
    gone = shortlived.handle;
  }
  CHECK_FALSE(bound->globalNorm(gone, kL2, &ticket).ok());
  if (devices() > 1) {
    const Stream elsewhere(1);
    const CudaStatus refused = bound->globalNorm(elsewhere.handle, kL2, &ticket);
    CHECK_FALSE(refused.ok());
    CHECK(std::strstr(refused.call, "another device") != nullptr);
  }
  for (std::int64_t stream : {std::int64_t{0}, good.handle}) {
    REQUIRE_OK(bound->globalNorm(stream, kL2, &ticket));
    CHECK(bound.result(ticket).globalNorm == normOf(bound));
  }
}

TEST_CASE("the default stream of each thread is refused; the legacy one has two handles") {
  Bound bound(some());
  std::int64_t ticket = 0;
  const CudaStatus refused = bound->globalNorm(2, kL2, &ticket);
  CHECK_FALSE(refused.ok());
  CHECK_FALSE(refused.fatal());
  CHECK(std::strstr(refused.call, "per-thread") != nullptr);
  REQUIRE_OK(bound->globalNorm(1, kL2, &ticket));
  CHECK(bound.result(ticket).globalNorm == normOf(bound));
}

TEST_CASE("a framework's capture survives all that a clipper does meanwhile, on its own thread and on others") {
  for (auto mode : {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal}) {
    auto bound = std::make_unique<Bound>(some());
    const Stream captured, own;
    std::int64_t ticket = 0;
    REQUIRE_OK((*bound)->globalNorm(own.handle, kL2, &ticket));
    // What blocks, so that the legacy stream would have to wait for it.
    cudaStream_t blocking = nullptr;
    REQUIRE(cudaStreamCreateWithFlags(&blocking, cudaStreamDefault) == cudaSuccess);
    REQUIRE(cudaStreamBeginCapture(blocking, mode) == cudaSuccess);
    REQUIRE(cudaStreamBeginCapture(captured.cuda(), mode) == cudaSuccess);
    const auto work = [&] {
      bound->move(0);
      bound->rebind();
      for (int i = 0; i < 10; ++i) {
        bound->move(1);
        bound->rebind();
        REQUIRE_OK((*bound)->globalNorm(own.handle, kL2, &ticket));
      }
      bool overwritten = false;
      REQUIRE_OK((*bound)->await(ticket, &overwritten));
      const Bound another(some());
      bound = nullptr;  // as the Cleaner does
    };
    work();
    bound = std::make_unique<Bound>(some());
    REQUIRE_OK((*bound)->globalNorm(own.handle, kL2, &ticket));
    std::thread(work).join();
    CHECK(captureOf(captured) == cudaStreamCaptureStatusActive);
    endCapture(captured);
    cudaGraph_t graph = nullptr;
    REQUIRE(cudaStreamEndCapture(blocking, &graph) == cudaSuccess);
    REQUIRE(cudaGraphDestroy(graph) == cudaSuccess);
    REQUIRE(cudaStreamDestroy(blocking) == cudaSuccess);
    // The thread's own mode is as it was.
    cudaStreamCaptureMode now = cudaStreamCaptureModeRelaxed;
    REQUIRE(cudaThreadExchangeStreamCaptureMode(&now) == cudaSuccess);
    CHECK(now == cudaStreamCaptureModeGlobal);
    REQUIRE(cudaThreadExchangeStreamCaptureMode(&now) == cudaSuccess);
  }
}

TEST_CASE("asking for devices makes no context") {
  emulator::forgetContexts();
  char reason[200];
  CHECK(gradclip::cudaUsable(reason, sizeof reason));
  CHECK(gradclip::cudaCurrentDevice() == 0);
  char text[1000];
  REQUIRE_OK(gradclip::cudaDescribe(0, text, sizeof text));
  CHECK(std::strstr(text, "free memory") == nullptr);
  for (int device = 0; device < devices(); ++device) CHECK(emulator::contexts(device) == 0);
  CHECK(emulator::context() == nullptr);
}

TEST_CASE("a clipper makes a context on its own device alone, and leaves the thread's as it was") {
  const int last = devices() - 1;
  emulator::forgetContexts();
  std::int64_t memory = 0;
  REQUIRE_OK(gradclip::cudaAllocate(last, 4000, &memory));
  CHECK(emulator::context() == nullptr);
  const Piece table[] = {{memory, 0, 1000, 0, 0, DType::Float32}};
  CudaPlan* plan = nullptr;
  REQUIRE_OK(CudaPlan::create(last, table, 1, {1, 1, 0}, &plan));
  std::int64_t ticket = 0;
  REQUIRE_OK(plan->globalNorm(0, kL2, &ticket));
  CHECK(emulator::context() == nullptr);
  CHECK(gradclip::cudaCurrentDevice() == 0);
  REQUIRE_OK(plan->synchronize());
  REQUIRE_OK(CudaPlan::destroy(plan));
  REQUIRE_OK(gradclip::cudaRelease(last, memory));
  CHECK(emulator::context() == nullptr);
  for (int device = 0; device < devices(); ++device) CHECK(emulator::contexts(device) == (device == last ? 1 : 0));
}

TEST_CASE("a context that the caller made is used and stays") {
  emulator::forgetContexts();
  void* const own = emulator::createContext(0);
  {
    Bound bound(some());
    CHECK(bound.globalNorm(kL2).globalNorm == normOf(bound));
    CHECK(emulator::context() == own);
    CHECK(emulator::contexts(0) == 1);
    // On a thread without one, the plan works in the context that it was made in.
    std::thread([&] {
      std::int64_t ticket = 0;
      REQUIRE_OK(bound->globalNorm(0, kL2, &ticket));
      REQUIRE_OK(bound->synchronize());
      CHECK(emulator::context() == nullptr);
    }).join();
    CHECK(emulator::contexts(0) == 1);
  }
  CHECK(emulator::context() == own);
  emulator::forgetContexts();
}

TEST_CASE("a result that never comes is no lost device") {
  Bound bound(some());
  bool overwritten = false;
  const CudaStatus status = bound->await(7, &overwritten);
  CHECK_FALSE(status.ok());
  CHECK_FALSE(status.fatal());
}
