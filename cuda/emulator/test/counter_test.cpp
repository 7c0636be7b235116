// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

namespace {

struct Nothing {};

__global__ void nothing(Nothing) {}

}  // namespace

TEST_CASE("each call is counted once") {
  const TestStream stream;
  int host[4] = {};
  resetCounters();
  {
    const Device<int> memory(4);
    const Pinned<int> pinned(4);
    const TestEvent event;
    REQUIRE_OK(enqueue(nothing, 1, 32, 0, stream, Nothing{}));
    REQUIRE_OK(enqueue(nothing, 1, 32, 0, stream, Nothing{}));
    REQUIRE_OK(cudaMemcpyAsync(memory, host, 16, cudaMemcpyHostToDevice, stream));
    REQUIRE_OK(cudaMemcpyAsync(memory, pinned, 16, cudaMemcpyDefault, stream));
    REQUIRE_OK(cudaMemcpyAsync(host, memory, 16, cudaMemcpyDeviceToHost, stream));
    REQUIRE_OK(cudaMemcpyAsync(memory, memory + 2, 8, cudaMemcpyDeviceToDevice, stream));
    REQUIRE_OK(cudaMemsetAsync(memory, 0, 8, stream));
    REQUIRE_OK(cudaEventRecord(event, stream));
    Counters seen = counters();
    CHECK(seen.launches == 2);
    CHECK(seen.allocations == 2);
    CHECK(seen.copiesToDevice == 2);
    CHECK(seen.copiesToHost == 1);
    CHECK(seen.synchronisations == 0);
    CHECK(seen.queries == 0);
    cudaStreamQuery(stream);
    REQUIRE_OK(cudaEventSynchronize(event));
    REQUIRE_OK(cudaStreamSynchronize(stream));
    REQUIRE_OK(cudaDeviceSynchronize());
    REQUIRE_OK(cudaMemcpy(host, memory, 16, cudaMemcpyDeviceToHost));
    seen = counters();
    CHECK(seen.queries == 1);
    CHECK(seen.synchronisations == 4);
    CHECK(seen.copiesToHost == 2);
  }
  CHECK(counters().synchronisations == 6);  // a free waits
  std::int64_t five[5] = {};
  gradclip_emulator_counters(five);
  CHECK(five[0] == 2);
  CHECK(five[4] == 6);
  gradclip_emulator_reset_counters();
  CHECK(counters().launches == 0);
}
