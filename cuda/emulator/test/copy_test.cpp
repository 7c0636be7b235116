// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

TEST_CASE("an asynchronous copy reads its source when its turn comes") {
  const Device<int> memory(std::vector<int>{1});
  const TestStream stream;
  int source = 2;
  REQUIRE_OK(cudaMemcpyAsync(memory, &source, sizeof(int), cudaMemcpyHostToDevice, stream));
  CHECK(peek(static_cast<const int*>(inspect(memory, sizeof(int)))) == 1);
  poke(&source, 3);
  REQUIRE_OK(cudaStreamSynchronize(stream));
  CHECK(memory.values()[0] == 3);
}

TEST_CASE("copies and fills within streams are in order") {
  const Device<int> a(std::vector<int>{1, 2, 3}), b(3);
  const TestStream stream;
  REQUIRE_OK(cudaMemcpyAsync(b, a, 12, cudaMemcpyDeviceToDevice, stream));
  REQUIRE_OK(cudaMemsetAsync(a, 0xff, 8, stream));
  int back[3] = {};
  REQUIRE_OK(cudaMemcpyAsync(back, a, 12, cudaMemcpyDefault, stream));
  REQUIRE_OK(cudaStreamSynchronize(stream));
  CHECK(back[1] == -1);
  CHECK(back[2] == 3);
  CHECK(b.values() == std::vector<int>{1, 2, 3});
}

TEST_CASE("copies that leave an allocation, or go the wrong way") {
  const Device<char> memory(100);
  std::vector<char> host(200);
  CHECK(cudaMemcpy(memory, host.data(), 101, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host.data(), memory + 1, 100, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host.data(), memory, 10, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(memory, host.data(), 10, cudaMemcpyHostToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemsetAsync(host.data(), 0, 10, nullptr) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaSuccess);
  REQUIRE_OK(cudaMemcpy(memory, nullptr, 0, cudaMemcpyHostToDevice));
}

TEST_CASE("a synchronous copy comes after the streams that the legacy stream waits for") {
  const Device<int> memory(std::vector<int>{1});
  const TestStream stream(cudaStreamDefault);
  REQUIRE_OK(cudaMemsetAsync(memory, 0, 4, stream));
  CHECK(memory.values()[0] == 0);
}
