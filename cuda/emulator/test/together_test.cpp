// SPDX-License-Identifier: Apache-2.0
// Launches whose blocks all run at once, and launches behind a kernel that still runs.
#include "support.hpp"

namespace {

struct Wait {
  unsigned* arrived;
  unsigned* out;
};

/// Each thread writes once all blocks have arrived, so often as there are rounds: what the neighbour block wrote in the
/// last one.
__global__ void inRounds(Wait p) {
  unsigned* shared = sharedMemory<unsigned>();
  for (unsigned round = 1; round <= 5; ++round) {
    __syncthreads();
    if (threadIdx.x == 0) {
      __threadfence();
      atomicAdd(p.arrived, 1U);
      while (pollGlobal(p.arrived) < round * gridDim.x) {
      }
      __threadfence();
    }
    __syncthreads();
    const unsigned next = (blockIdx.x + 1) % gridDim.x;
    unsigned* const now = p.out + (round % 2) * gridDim.x * blockDim.x;
    const unsigned* const before = p.out + (1 - round % 2) * gridDim.x * blockDim.x;
    shared[threadIdx.x] = round == 1 ? next : loadGlobal<unsigned>(before + next * blockDim.x + threadIdx.x);
    storeGlobal(now + blockIdx.x * blockDim.x + threadIdx.x, shared[threadIdx.x]);
  }
}

/// All threads poll a word that the last block writes.
__global__ void allPoll(Wait p) {
  if (blockIdx.x == gridDim.x - 1 && threadIdx.x == 0) atomicAdd(p.arrived, 1U);
  while (pollGlobal(p.arrived) == 0) {
  }
  atomicAdd(p.out, 1U);
}

__global__ void forEver(Wait p) {
  while (pollGlobal(p.arrived) == 0) {
  }
}

__global__ void looksBehind(Wait p) {
  if (threadIdx.x != 5 || p.out == nullptr) awaitKernelBefore();
  storeGlobal(p.arrived + threadIdx.x, 1U);
}

cudaError_t launchedTogether(void (*kernel)(Wait), unsigned grid, const Wait& params, std::size_t sharedBytes = 0) {
  const cudaError_t result = enqueue(kernel, grid, 64, sharedBytes, nullptr, params, How::Together);
  return result != cudaSuccess ? result : cudaStreamSynchronize(nullptr);
}

}  // namespace

TEST_CASE("blocks wait for each other, each with its shared memory") {
  for (unsigned grid : {1U, 2U, 7U, 64U}) {
    const Device<unsigned> arrived(std::vector<unsigned>(1, 0));
    const Device<unsigned> out(std::vector<unsigned>(2 * grid * 64, 0));
    REQUIRE_OK(launchedTogether(inRounds, grid, Wait{arrived, out}, 64 * sizeof(unsigned)));
    CHECK(arrived.values()[0] == 5 * grid);
    const auto got = out.values();
    for (unsigned i = 0; i < grid * 64; ++i) CHECK(got[grid * 64 + i] == (i / 64 + 5) % grid);
  }
}

TEST_CASE("threads of a block poll while others go on") {
  const Device<unsigned> arrived(std::vector<unsigned>(1, 0)), out(std::vector<unsigned>(1, 0));
  REQUIRE_OK(launchedTogether(allPoll, 5, Wait{arrived, out}));
  CHECK(out.values()[0] == 5 * 64);
}

TEST_CASE("what nobody will write is a fault, and so is waiting in a launch whose blocks do not run together") {
  const Device<unsigned> arrived(std::vector<unsigned>(1, 0)), out(std::vector<unsigned>(256, 0));
  CHECK(launchedTogether(forEver, 3, Wait{arrived, out}) == cudaErrorLaunchFailure);
  reset();
  requireFault(cudaErrorLaunchFailure, inRounds, 2, 64, Wait{arrived, out}, 64 * sizeof(unsigned));
  REQUIRE_OK(
      launchedTogether(inRounds, 1, Wait{Device<unsigned>(std::vector<unsigned>(1, 0)), out}, 64 * sizeof(unsigned)));
}

TEST_CASE("more blocks than fit, and more shared memory than was asked for, are refused") {
  const Device<unsigned> arrived(std::vector<unsigned>(1, 0)), out(std::vector<unsigned>(1, 0));
  const Wait params{arrived, out};
  CHECK(launchedTogether(allPoll, 65, params) == cudaErrorCooperativeLaunchTooLarge);
  constexpr std::size_t kHalf = 113 << 10;
  CHECK(launchedTogether(allPoll, 2, params, kHalf) == cudaErrorInvalidValue);
  int blocks = -1;
  REQUIRE_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, allPoll, 64, kHalf));
  CHECK(blocks == 0);
  CHECK(cudaFuncSetAttribute(allPoll, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 << 10) == cudaErrorInvalidValue);
  REQUIRE_OK(cudaFuncSetAttribute(allPoll, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 << 10));
  REQUIRE_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, allPoll, 64, kHalf));
  CHECK(blocks == 2);
  CHECK(launchedTogether(allPoll, 5, params, kHalf) == cudaErrorCooperativeLaunchTooLarge);
  REQUIRE_OK(launchedTogether(allPoll, 4, params, kHalf));
  cudaGetLastError();
}

TEST_CASE("behind another kernel each thread waits for it before it reads or writes") {
  const Device<unsigned> out(std::vector<unsigned>(64, 0));
  REQUIRE_OK(enqueue(looksBehind, 1, 64, 0, nullptr, Wait{out, nullptr}, How::Behind));
  REQUIRE_OK(cudaStreamSynchronize(nullptr));
  REQUIRE_OK(launched(looksBehind, 1, 64, Wait{out, out}));
  REQUIRE_OK(enqueue(looksBehind, 1, 64, 0, nullptr, Wait{out, out}, How::Behind));
  CHECK(cudaStreamSynchronize(nullptr) == cudaErrorLaunchFailure);
  reset();
}
