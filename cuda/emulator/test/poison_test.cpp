// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "support.hpp"

namespace {

struct Result {
  double* slot;
  std::uint64_t* ticket;
};

__global__ void writesResult(Result p) {
  if (threadIdx.x != 0) return;
  storeGlobal(p.slot, 2.5);
  __threadfence_system();
  storeGlobal(p.ticket, std::uint64_t{7});
}

struct Sum {
  float* out;
};

__global__ void readsSharedBeforeWrite(Sum p) {
  const float* shared = sharedMemory<float>();
  storeGlobal(p.out + blockIdx.x * blockDim.x + threadIdx.x, shared[threadIdx.x]);
}

GRADCLIP_UNTRACKED __global__ void missingBarrier(Sum p) {
  float* shared = sharedMemory<float>();
  shared[threadIdx.x] = 1;
  storeGlobal(p.out + blockIdx.x * blockDim.x + threadIdx.x, shared[(threadIdx.x + 1) % blockDim.x]);
}

__global__ void sourceOutsideMask(Sum p) {
  float value = 1;
  if (threadIdx.x < 16) value = __shfl_xor_sync(0xffffU, value, 16);
  storeGlobal(p.out + threadIdx.x, value);
}

}  // namespace

TEST_CASE("poison is a NaN of every type") {
  float f = 0;
  double d = 0;
  std::memcpy(&f, &kPoison, sizeof(f));
  std::memcpy(&d, &kPoison, sizeof(d));
  CHECK(std::isnan(f));
  CHECK(std::isnan(d));
  constexpr auto half = static_cast<unsigned>(kPoison & 0xffff);
  CHECK((half & 0x7fffU) > 0x7c00U);  // f16
  CHECK((half & 0x7fffU) > 0x7f80U);  // bf16
}

TEST_CASE("a result read before it is ordered") {
  const Pinned<double> slot(1);
  const Pinned<std::uint64_t> ticket(1);
  const TestStream stream;
  REQUIRE_OK(enqueue(writesResult, 1, 32, 0, stream, Result{slot, ticket}));
  CHECK(std::isnan(peek<double>(slot)));
  CHECK(peek<std::uint64_t>(ticket) == kPoison);
  REQUIRE_OK(cudaStreamSynchronize(stream));
  CHECK(*slot == 2.5);
  CHECK(*ticket == 7);
}

TEST_CASE("a copy read before it is ordered") {
  const Device<double> from(std::vector<double>{3});
  const Pinned<double> to(1);
  const TestStream stream;
  REQUIRE_OK(cudaMemcpyAsync(to, from, sizeof(double), cudaMemcpyDeviceToHost, stream));
  CHECK(std::isnan(peek<double>(to)));
  REQUIRE_OK(cudaStreamSynchronize(stream));
  CHECK(*to == 3);
}

TEST_CASE("device memory read before it is written") {
  const Device<double> memory(1000);
  for (const double value : memory.values()) REQUIRE(std::isnan(value));
}

TEST_CASE("shared memory read before it is written, in every block") {
  const Device<float> out(96);
  REQUIRE_OK(launched(missingBarrier, 1, 32, Sum{out}, 32 * sizeof(float)));
  REQUIRE_OK(launched(readsSharedBeforeWrite, 3, 32, Sum{out}, 32 * sizeof(float)));
  for (const float value : out.values()) CHECK(std::isnan(value));
}

TEST_CASE("a missing barrier shows") {
  const Device<float> out(32);
  REQUIRE_OK(launched(missingBarrier, 1, 32, Sum{out}, 32 * sizeof(float)));
  int poisoned = 0;
  for (const float value : out.values()) poisoned += std::isnan(value) ? 1 : 0;
  CHECK(poisoned > 0);
}

TEST_CASE("a shuffle from a lane outside the mask") {
  const Device<float> out(32);
  REQUIRE_OK(launched(sourceOutsideMask, 1, 32, Sum{out}));
  const auto got = out.values();
  for (std::size_t i = 0; i < 16; ++i) CHECK(std::isnan(got[i]));
}
