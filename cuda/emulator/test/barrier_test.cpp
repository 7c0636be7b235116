// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

namespace {

struct Out {
  unsigned* out;
};

__global__ void someReturnBeforeBarrier(Out) {
  if (threadIdx.x >= 40) return;
  __syncthreads();
}

__global__ void oneWarpSkipsBarrier(Out p) {
  if (threadIdx.x / 32 != 1) __syncthreads();
  storeGlobal(p.out + threadIdx.x, 1U);
}

__global__ void laneReturnsBeforeShuffle(Out p) {
  if (threadIdx.x == 5) return;
  storeGlobal(p.out + threadIdx.x, __shfl_xor_sync(0xffffffffU, threadIdx.x, 1));
}

__global__ void laneSkipsShuffle(Out p) {
  unsigned value = 0;
  if (threadIdx.x != 7) value = __shfl_xor_sync(0xffffffffU, threadIdx.x, 1);
  __syncwarp();
  storeGlobal(p.out + threadIdx.x, value);
}

__global__ void lanesDisagreeAboutMask(Out) { __syncwarp(threadIdx.x < 16 ? 0xffffffffU : 0xffff0000U); }

__global__ void maskWithoutCaller(Out) { __syncwarp(0xfffffffeU); }

__global__ void maskBeyondBlock(Out) { __syncwarp(); }

__global__ void shuffleAgainstBarrier(Out p) {
  if (threadIdx.x == 3) {
    __syncthreads();
  } else {
    storeGlobal(p.out + threadIdx.x, __shfl_sync(0xffffffffU, threadIdx.x, 0));
  }
}

__global__ void differentSizes(Out) {
  if (threadIdx.x < 16) {
    __shfl_xor_sync(0xffffffffU, 1.0F, 1);
  } else {
    __shfl_xor_sync(0xffffffffU, 1.0, 1);
  }
}

__global__ void wrongWidth(Out) { __shfl_xor_sync(0xffffffffU, 1, 1, 12); }

__global__ void rounds(Out p) {
  unsigned* shared = sharedMemory<unsigned>();
  unsigned sum = 0;
  for (unsigned round = 0; round < 20; ++round) {
    shared[threadIdx.x] = threadIdx.x + round;
    __syncthreads();
    sum += shared[(threadIdx.x + 33 * round) % blockDim.x];
    __syncthreads();
  }
  storeGlobal(p.out + blockIdx.x * blockDim.x + threadIdx.x, sum);
}

}  // namespace

TEST_CASE("a barrier that not all threads reach") {
  const Device<unsigned> out(1024);
  requireFault(cudaErrorLaunchFailure, someReturnBeforeBarrier, 1, 64, Out{out});
  requireFault(cudaErrorLaunchFailure, oneWarpSkipsBarrier, 2, 96, Out{out});
  requireFault(cudaErrorLaunchFailure, shuffleAgainstBarrier, 1, 64, Out{out});
}

TEST_CASE("a shuffle that not all lanes reach") {
  const Device<unsigned> out(1024);
  requireFault(cudaErrorLaunchFailure, laneReturnsBeforeShuffle, 1, 32, Out{out});
  requireFault(cudaErrorLaunchFailure, laneSkipsShuffle, 1, 32, Out{out});
  requireFault(cudaErrorLaunchFailure, differentSizes, 1, 32, Out{out});
}

TEST_CASE("a mask that is not that of the lanes that come") {
  const Device<unsigned> out(1024);
  requireFault(cudaErrorLaunchFailure, lanesDisagreeAboutMask, 1, 32, Out{out});
  requireFault(cudaErrorLaunchFailure, maskWithoutCaller, 1, 32, Out{out});
  requireFault(cudaErrorLaunchFailure, maskBeyondBlock, 1, 48, Out{out});
  requireFault(cudaErrorLaunchFailure, wrongWidth, 1, 32, Out{out});
}

TEST_CASE("barriers order shared memory, also after a fault and in blocks of any size") {
  for (const unsigned block : {1U, 31U, 32U, 33U, 256U, 1024U}) {
    const Device<unsigned> out(3 * block);
    REQUIRE_OK(launched(rounds, 3, block, Out{out}, block * sizeof(unsigned)));
    const auto got = out.values();
    for (unsigned i = 0; i < 3 * block; ++i) {
      unsigned sum = 0;
      for (unsigned round = 0; round < 20; ++round) sum += (i % block + 33 * round) % block + round;
      REQUIRE(got[i] == sum);
    }
  }
}
