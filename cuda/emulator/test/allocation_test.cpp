// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

namespace {

struct Sum {
  const uint4* p;
  std::uint64_t count;
  unsigned long long* out;
};

__global__ void sum(Sum p) {
  unsigned long long total = 0;
  for (std::uint64_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += gridDim.x * blockDim.x) {
    total += loadGlobal<uint4>(p.p + i).x;
  }
  atomicAdd(p.out, total);
}

constexpr std::size_t kMiB = std::size_t{1} << 20;

}  // namespace

TEST_CASE("allocations are apart, aligned and counted") {
  std::size_t before = 0, total = 0;
  REQUIRE_OK(cudaMemGetInfo(&before, &total));
  CHECK(total == 8192 * kMiB);
  {
    const Device<char> a(1), b(1000);
    CHECK(reinterpret_cast<std::uintptr_t>(static_cast<char*>(a)) % 256 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(static_cast<char*>(b)) % 256 == 0);
    std::size_t now = 0;
    REQUIRE_OK(cudaMemGetInfo(&now, &total));
    CHECK(before - now == 256 + 1024);
  }
  std::size_t after = 0;
  REQUIRE_OK(cudaMemGetInfo(&after, &total));
  CHECK(after == before);
}

TEST_CASE("no more memory than there is") {
  char* p = nullptr;
  CHECK(cudaMalloc(&p, 8193 * kMiB) == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaMalloc(&p, ~std::size_t{0}) == cudaErrorMemoryAllocation);
  deviceMemory(kMiB);
  CHECK(cudaMalloc(&p, kMiB + 1) == cudaErrorMemoryAllocation);
  REQUIRE_OK(cudaMalloc(&p, kMiB));
  deviceMemory(8192 * kMiB);
  REQUIRE_OK(cudaFree(p));
  cudaGetLastError();
  REQUIRE_OK(cudaMalloc(&p, 8000 * kMiB));  // costs this machine next to nothing
  REQUIRE_OK(cudaMemsetAsync(p + 7999 * kMiB, 1, 16));
  REQUIRE_OK(cudaFree(p));
}

TEST_CASE("nothing is allocated for no bytes") {
  void* p = &p;
  REQUIRE_OK(cudaMalloc(&p, 0));
  CHECK(p == nullptr);
  REQUIRE_OK(cudaFree(nullptr));
  REQUIRE_OK(cudaFreeHost(nullptr));
}

TEST_CASE("free takes what malloc gave") {
  const Device<char> memory(100);
  const Pinned<char> pinned(100);
  CHECK(cudaFree(memory + 1) == cudaErrorInvalidValue);
  CHECK(cudaFree(pinned) == cudaErrorInvalidValue);
  CHECK(cudaFreeHost(memory) == cudaErrorInvalidValue);
  char onHost = 0;
  CHECK(cudaFree(&onHost) == cudaErrorInvalidValue);
  cudaGetLastError();
}

TEST_CASE("what an address is") {
  const Device<char> memory(100);
  const Pinned<char> pinned(100);
  cudaPointerAttributes about{};
  REQUIRE_OK(cudaPointerGetAttributes(&about, memory + 99));
  CHECK(about.type == cudaMemoryTypeDevice);
  CHECK(about.device == 0);
  CHECK(about.devicePointer == memory + 99);
  CHECK(about.hostPointer == nullptr);
  REQUIRE_OK(cudaPointerGetAttributes(&about, pinned));
  CHECK(about.type == cudaMemoryTypeHost);
  CHECK(about.hostPointer == pinned);
  REQUIRE_OK(cudaPointerGetAttributes(&about, memory + 100));
  CHECK(about.type == cudaMemoryTypeUnregistered);
  char* seen = nullptr;
  REQUIRE_OK(cudaHostGetDevicePointer(&seen, pinned, 0));
  CHECK(seen == pinned);
  void* base = nullptr;
  std::size_t size = 0;
  REQUIRE_OK(memoryRange(memory + 50, &base, &size));
  CHECK(base == memory);
  CHECK(size == 100);
  CHECK(memoryRange(memory + 100, &base, &size) == cudaErrorInvalidValue);
  CHECK(inspect(memory, 101) == nullptr);
  cudaGetLastError();
}

TEST_CASE("segments lie side by side, each an allocation of its own") {
  char* p = nullptr;
  REQUIRE_OK(allocateSegments(reinterpret_cast<void**>(&p), 65536, 3));
  void* base = nullptr;
  std::size_t size = 0;
  REQUIRE_OK(memoryRange(p + 65536, &base, &size));
  CHECK(base == p + 65536);
  CHECK(size == 65536);
  std::vector<char> bytes(3 * 65536, 7);
  REQUIRE_OK(cudaMemcpy(p, bytes.data(), bytes.size(), cudaMemcpyHostToDevice));
  CHECK(cudaMemcpy(p, bytes.data(), bytes.size() + 1, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  cudaGetLastError();
  REQUIRE_OK(cudaFree(p + 65536));
  CHECK(memoryRange(p + 65536, &base, &size) == cudaErrorInvalidValue);
  REQUIRE_OK(memoryRange(p, &base, &size));
  cudaGetLastError();
  char last = 0;
  REQUIRE_OK(cudaMemcpy(&last, p + 3 * 65536 - 1, 1, cudaMemcpyDeviceToHost));
  CHECK(last == 7);
  REQUIRE_OK(cudaFree(p));
  REQUIRE_OK(cudaFree(p + 2 * 65536));
}

TEST_CASE("memory that repeats may exceed any machine's") {
  void* p = nullptr;
  constexpr std::size_t kBytes = (std::size_t{1} << 34) + 16;
  REQUIRE_OK(allocateRepeated(&p, kBytes, 64 * kMiB));
  REQUIRE_OK(cudaMemsetAsync(p, 0, 64 * kMiB));
  const unsigned one = 1;
  REQUIRE_OK(cudaMemcpy(p, &one, sizeof(one), cudaMemcpyHostToDevice));
  const Device<unsigned long long> out(std::vector<unsigned long long>{0});
  // The last 128 MiB and 16 bytes: three times the first word.
  const auto* from = static_cast<const uint4*>(p) + (kBytes - 128 * kMiB) / 16 - 1;
  REQUIRE_OK(launched(sum, 2, 64, Sum{from, 128 * kMiB / 16 + 1, out}));
  CHECK(out.values()[0] == 3);
  CHECK(launched(sum, 1, 1, Sum{from, 128 * kMiB / 16 + 2, out}) == cudaErrorIllegalAddress);
  reset();
  REQUIRE_OK(cudaFree(p));
}
