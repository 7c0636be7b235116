// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

namespace {

template <class T>
struct At {
  const T* p;
};

template <class T>
__global__ void reads(At<T> p) {
  loadGlobal<T>(p.p);
}

template <class T>
__global__ void writes(At<T> p) {
  storeGlobal(const_cast<T*>(p.p), T{});
}

__global__ void adds(At<unsigned> p) { atomicAdd(const_cast<unsigned*>(p.p), 1U); }

struct Fill {
  unsigned char* p;
  unsigned bytes;
};

template <class T>
__global__ void fills(Fill p) {
  for (unsigned i = threadIdx.x; i < p.bytes / sizeof(T); i += blockDim.x) {
    T value;
    std::memset(&value, static_cast<int>(i), sizeof(T));
    storeGlobal(p.p + i * sizeof(T), value);
    const T back = loadGlobal<T>(p.p + i * sizeof(T));
    if (std::memcmp(&back, &value, sizeof(T)) != 0) storeGlobal<T>(nullptr, value);
  }
}

template <class T>
const T* shifted(const void* p, std::ptrdiff_t bytes) {
  return reinterpret_cast<const T*>(static_cast<const char*>(p) + bytes);
}

struct Sums {
  unsigned* sum;
  unsigned long long* wide;
};

__global__ void sums(Sums p) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  atomicAdd(p.sum, i);
  atomicMax(p.sum + 1, i);
  atomicOr(p.sum + 2, 1U << (i % 32));
  atomicExch(p.sum + 3, 7U);
  atomicAdd(p.wide, 1ULL << 40);
  atomicMax(p.wide + 1, static_cast<unsigned long long>(i) << 33);
  atomicOr(p.wide + 2, 1ULL << (i % 64));
  atomicExch(p.wide + 3, 9ULL);
  auto* shared = sharedMemory<unsigned>();
  if (threadIdx.x == 0) *shared = 0;
  __syncthreads();
  atomicAdd(shared, 1U);
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(p.sum + 4, *shared);
}

}  // namespace

TEST_CASE("accesses of every size") {
  const Device<unsigned char> memory(4096);
  REQUIRE_OK(launched(fills<std::uint8_t>, 1, 64, Fill{memory, 4096}));
  REQUIRE_OK(launched(fills<std::uint16_t>, 1, 64, Fill{memory, 4096}));
  REQUIRE_OK(launched(fills<float>, 1, 64, Fill{memory, 4096}));
  REQUIRE_OK(launched(fills<double>, 1, 64, Fill{memory, 4096}));
  REQUIRE_OK(launched(fills<uint4>, 1, 64, Fill{memory, 4096}));
  const Pinned<unsigned char> pinned(4096);
  REQUIRE_OK(launched(fills<std::uint8_t>, 1, 64, Fill{pinned, 4096}));
  REQUIRE_OK(launched(fills<std::uint16_t>, 1, 64, Fill{pinned, 4096}));
  REQUIRE_OK(launched(fills<std::uint64_t>, 1, 64, Fill{pinned, 4096}));
  REQUIRE_OK(launched(fills<uint4>, 1, 64, Fill{pinned, 4096}));
  CHECK(pinned[17] == 1);
}

TEST_CASE("out of bounds") {
  for (const std::size_t bytes : {1U, 16U, 100U, 4096U, 5000U}) {
    const Device<unsigned char> memory(bytes);
    const auto size = static_cast<std::ptrdiff_t>(bytes);
    REQUIRE_OK(launched(reads<std::uint8_t>, 1, 1, At<std::uint8_t>{shifted<std::uint8_t>(memory, size - 1)}));
    requireFault(cudaErrorIllegalAddress, reads<std::uint8_t>, 1, 1,
                 At<std::uint8_t>{shifted<std::uint8_t>(memory, size)});
    requireFault(cudaErrorIllegalAddress, writes<std::uint8_t>, 1, 1,
                 At<std::uint8_t>{shifted<std::uint8_t>(memory, -1)});
    const std::ptrdiff_t last = size / 16 * 16;
    if (last < size) requireFault(cudaErrorIllegalAddress, reads<uint4>, 1, 1, At<uint4>{shifted<uint4>(memory, last)});
  }
  requireFault(cudaErrorIllegalAddress, reads<int>, 1, 32, At<int>{nullptr});
  int onHost = 0;
  requireFault(cudaErrorIllegalAddress, reads<int>, 1, 32, At<int>{&onHost});
  const Device<unsigned> memory(25);
  requireFault(cudaErrorIllegalAddress, adds, 1, 32, At<unsigned>{memory + 25});
}

TEST_CASE("pinned memory is seen by kernels to its last byte") {
  const Pinned<unsigned> pinned(25);
  REQUIRE_OK(launched(writes<unsigned>, 1, 1, At<unsigned>{pinned + 24}));
  CHECK(pinned[24] == 0);
  requireFault(cudaErrorIllegalAddress, writes<unsigned>, 1, 1, At<unsigned>{pinned + 25});
}

TEST_CASE("use after free") {
  int* p = nullptr;
  REQUIRE_OK(cudaMalloc(&p, 400));
  REQUIRE_OK(launched(reads<int>, 1, 1, At<int>{p}));
  REQUIRE_OK(cudaFree(p));
  requireFault(cudaErrorIllegalAddress, reads<int>, 1, 1, At<int>{p});
  CHECK(cudaFree(p) == cudaErrorInvalidValue);
  // Also when much was allocated and freed since.
  for (int i = 0; i < 1000; ++i) {
    int* other = nullptr;
    REQUIRE_OK(cudaMalloc(&other, 400));
    REQUIRE(other != p);
    REQUIRE_OK(cudaFree(other));
  }
  requireFault(cudaErrorIllegalAddress, reads<int>, 1, 1, At<int>{p});
  REQUIRE_OK(cudaHostAlloc(&p, 400, cudaHostAllocMapped));
  REQUIRE_OK(cudaFreeHost(p));
  requireFault(cudaErrorIllegalAddress, writes<int>, 1, 1, At<int>{p});
}

TEST_CASE("misaligned vector access") {
  const Device<unsigned char> memory(64);
  for (std::ptrdiff_t shift : {1, 2, 4, 8}) {
    requireFault(cudaErrorMisalignedAddress, reads<uint4>, 1, 1, At<uint4>{shifted<uint4>(memory, shift)});
  }
  requireFault(cudaErrorMisalignedAddress, reads<uint2>, 1, 1, At<uint2>{shifted<uint2>(memory, 4)});
  requireFault(cudaErrorMisalignedAddress, writes<float>, 1, 1, At<float>{shifted<float>(memory, 2)});
  requireFault(cudaErrorMisalignedAddress, writes<std::uint16_t>, 1, 1,
               At<std::uint16_t>{shifted<std::uint16_t>(memory, 1)});
  requireFault(cudaErrorMisalignedAddress, adds, 1, 1, At<unsigned>{shifted<unsigned>(memory, 2)});
}

TEST_CASE("a fault ends the launch and drops what follows, also in other streams") {
  const Device<int> memory(std::vector<int>{5});
  const TestStream other;
  REQUIRE_OK(enqueue(writes<int>, 1, 1, 0, other, At<int>{memory}));
  CHECK(launched(reads<int>, 1, 1, At<int>{nullptr}) == cudaErrorIllegalAddress);
  CHECK(cudaStreamSynchronize(other) == cudaErrorIllegalAddress);
  reset();
  CHECK(memory.values()[0] == 5);
}

TEST_CASE("atomics, on global and on shared memory") {
  const Device<unsigned> sum(std::vector<unsigned>(5, 0));
  const Device<unsigned long long> wide(std::vector<unsigned long long>(4, 0));
  REQUIRE_OK(launched(sums, 4, 64, Sums{sum, wide}, sizeof(unsigned)));
  CHECK(sum.values() == std::vector<unsigned>{255 * 128, 255, 0xffffffffU, 7, 256});
  CHECK(wide.values() == std::vector<unsigned long long>{256ULL << 40, 255ULL << 33, ~0ULL, 9});
}
