// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

namespace {

struct Append {
  unsigned* log;  ///< [0]: how many, then the entries
  unsigned entry;
};

__global__ void append(Append p) {
  if (threadIdx.x != 0) return;
  const unsigned at = atomicAdd(p.log, 1U);
  storeGlobal(p.log + 1 + at, p.entry);
}

struct Log {
  Device<unsigned> memory{std::vector<unsigned>(64, 0)};

  void append(cudaStream_t stream, unsigned entry) {
    REQUIRE_OK(enqueue(::append, 1, 32, 0, stream, Append{memory, entry}));
  }

  /// What has been done so far, seen without waiting for anything.
  std::vector<unsigned> entries() const {
    const auto* words = static_cast<const unsigned*>(inspect(memory, 64 * sizeof(unsigned)));
    std::vector<unsigned> entries(peek(words));
    for (std::size_t i = 0; i < entries.size(); ++i) entries[i] = peek(words + 1 + i);
    return entries;
  }
};

using Entries = std::vector<unsigned>;

}  // namespace

TEST_CASE("work waits until somebody needs it") {
  Log log;
  const TestStream stream;
  log.append(stream, 1);
  log.append(stream, 2);
  CHECK(log.entries() == Entries{});
  REQUIRE_OK(cudaStreamSynchronize(stream));
  CHECK(log.entries() == Entries{1, 2});
}

TEST_CASE("a query does one thing at a time") {
  Log log;
  const TestStream stream;
  CHECK(cudaStreamQuery(stream) == cudaSuccess);
  log.append(stream, 1);
  log.append(stream, 2);
  CHECK(cudaStreamQuery(stream) == cudaErrorNotReady);
  CHECK(log.entries() == Entries{1});
  CHECK(cudaStreamQuery(stream) == cudaSuccess);
  CHECK(log.entries() == Entries{1, 2});
  CHECK(cudaGetLastError() == cudaErrorNotReady);
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("streams that nothing orders don't wait for each other") {
  Log log;
  const TestStream a, b;
  log.append(a, 1);
  log.append(b, 2);
  REQUIRE_OK(cudaStreamSynchronize(b));
  CHECK(log.entries() == Entries{2});
  REQUIRE_OK(cudaDeviceSynchronize());
  CHECK(log.entries() == Entries{2, 1});
}

TEST_CASE("an event orders streams, and only what came before it") {
  Log log;
  const TestStream a, b, c;
  const TestEvent first, second;
  log.append(a, 1);
  REQUIRE_OK(cudaEventRecord(first, a));
  log.append(a, 2);
  REQUIRE_OK(cudaStreamWaitEvent(b, first));
  log.append(b, 3);
  REQUIRE_OK(cudaEventRecord(second, b));
  REQUIRE_OK(cudaStreamWaitEvent(c, second));
  log.append(c, 4);
  REQUIRE_OK(cudaStreamSynchronize(c));
  CHECK(log.entries() == Entries{1, 3, 4});
  CHECK(cudaEventQuery(first) == cudaSuccess);
  REQUIRE_OK(cudaStreamSynchronize(a));
  CHECK(log.entries() == Entries{1, 3, 4, 2});
}

TEST_CASE("an event recorded again is the later one") {
  Log log;
  const TestStream a;
  const TestEvent event;
  CHECK(cudaEventQuery(event) == cudaSuccess);
  REQUIRE_OK(cudaEventRecord(event, a));
  log.append(a, 1);
  REQUIRE_OK(cudaEventRecord(event, a));
  CHECK(cudaEventQuery(event) == cudaErrorNotReady);
  REQUIRE_OK(cudaEventSynchronize(event));
  CHECK(log.entries() == Entries{1});
}

TEST_CASE("the legacy stream is ordered with blocking streams only") {
  Log log;
  const TestStream blocking(cudaStreamDefault), other(cudaStreamNonBlocking);
  log.append(blocking, 1);
  log.append(other, 2);
  log.append(nullptr, 3);
  log.append(blocking, 4);
  REQUIRE_OK(cudaStreamSynchronize(blocking));
  CHECK(log.entries() == Entries{1, 3, 4});
  log.append(cudaStreamLegacy, 5);
  REQUIRE_OK(cudaStreamSynchronize(nullptr));
  CHECK(log.entries() == Entries{1, 3, 4, 5});
  log.append(cudaStreamPerThread, 6);
  REQUIRE_OK(cudaStreamSynchronize(cudaStreamPerThread));
  REQUIRE_OK(cudaStreamSynchronize(other));
  CHECK(log.entries() == Entries{1, 3, 4, 5, 6, 2});
}

TEST_CASE("a destroyed stream still does its work") {
  Log log;
  cudaStream_t stream = nullptr;
  REQUIRE_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  log.append(stream, 1);
  REQUIRE_OK(cudaStreamDestroy(stream));
  CHECK(cudaStreamSynchronize(stream) == cudaErrorInvalidResourceHandle);
  CHECK(cudaStreamDestroy(stream) == cudaErrorInvalidResourceHandle);
  REQUIRE_OK(cudaDeviceSynchronize());
  CHECK(log.entries() == Entries{1});
}

TEST_CASE("a long chain of streams and events") {
  Log log;
  const TestStream a, b;
  const TestEvent event;
  for (unsigned i = 0; i < 60; ++i) {
    log.append(i % 2 == 0 ? a : b, i);
    REQUIRE_OK(cudaEventRecord(event, i % 2 == 0 ? a : b));
    REQUIRE_OK(cudaStreamWaitEvent(i % 2 == 0 ? b : a, event));
  }
  REQUIRE_OK(cudaEventSynchronize(event));
  const auto entries = log.entries();
  REQUIRE(entries.size() == 60);
  for (unsigned i = 0; i < 60; ++i) CHECK(entries[i] == i);
}

TEST_CASE("launches that no GPU takes") {
  Log log;
  const Append p{log.memory, 1};
  CHECK(enqueue(append, 0, 32, 0, nullptr, p) == cudaErrorInvalidConfiguration);
  CHECK(enqueue(append, 1, 1025, 0, nullptr, p) == cudaErrorInvalidConfiguration);
  CHECK(enqueue(append, 1, 32, (48 << 10) + 1, nullptr, p) == cudaErrorInvalidValue);
  CHECK(enqueue(append, 1, 32, 0, reinterpret_cast<cudaStream_t>(0x1234), p) == cudaErrorInvalidResourceHandle);
  CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle);
  REQUIRE_OK(cudaDeviceSynchronize());
  CHECK(log.entries() == Entries{});
}
