// SPDX-License-Identifier: Apache-2.0
// One small program a race, broken or sound, for ThreadSanitizer.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "gradclip_emulator.hpp"

using namespace gradclip::emulator;

namespace {

void ok(cudaError_t result) {
  if (result == cudaSuccess) return;
  std::fprintf(stderr, "%s\n", cudaGetErrorName(result));
  std::exit(2);
}

struct Params {
  unsigned* a;
  std::uint64_t* b;
  bool sound;
};

/// The neighbour's word is read without, or with, a barrier of the warp. The shuffle orders time, not memory.
__global__ void syncwarp(Params p) {
  unsigned* shared = sharedMemory<unsigned>();
  shared[threadIdx.x] = threadIdx.x;
  if (p.sound) {
    __syncwarp();
  } else {
    __shfl_xor_sync(0xffffffffU, 0, 1);
  }
  storeGlobal(p.a + threadIdx.x, shared[threadIdx.x ^ 1]);
}

__global__ void syncthreads(Params p) {
  unsigned* shared = sharedMemory<unsigned>();
  for (unsigned round = 0; round < 4; ++round) {
    shared[threadIdx.x] = threadIdx.x + round;
    __syncthreads();
    storeGlobal(p.a + threadIdx.x, shared[(threadIdx.x + 32) % blockDim.x]);
    if (p.sound) __syncthreads();
  }
}

/// The last block to arrive reads what the others wrote.
__global__ void fence(Params p) {
  if (threadIdx.x != 0) return;
  storeGlobal(p.a + 1 + blockIdx.x, blockIdx.x);
  if (p.sound) __threadfence();
  if (atomicAdd(p.a, 1U) + 1 < gridDim.x) return;
  if (p.sound) __threadfence();
  unsigned sum = 0;
  for (unsigned i = 0; i < gridDim.x; ++i) sum += loadGlobal<unsigned>(p.a + 1 + i);
  storeGlobal(p.a, sum);
}

/// A result, then the ticket that says that it is there.
__global__ void systemFence(Params p) {
  if (threadIdx.x != 0) return;
  storeGlobal(p.b + 1, std::uint64_t{5});
  if (p.sound) __threadfence_system();
  storeGlobal(p.b, std::uint64_t{1});
}

__global__ void increments(Params p) {
  if (threadIdx.x == 0) storeGlobal(p.a, loadGlobal<unsigned>(p.a) + 1);
}

void block(void (*kernel)(Params), unsigned grid, unsigned threads, std::size_t sharedBytes, bool sound) {
  Params p{nullptr, nullptr, sound};
  ok(cudaMalloc(&p.a, 4096));
  ok(cudaMemsetAsync(p.a, 0, 4096));
  ok(enqueue(kernel, grid, threads, sharedBytes, nullptr, p));
  ok(cudaDeviceSynchronize());
  ok(cudaFree(p.a));
}

/// One thread waits for the stream, another polls the ticket and reads the result without any call.
void polled(bool sound) {
  Params p{nullptr, nullptr, sound};
  ok(cudaHostAlloc(&p.b, 16, cudaHostAllocMapped));
  __atomic_store_n(p.b, 0, __ATOMIC_RELAXED);
  ok(enqueue(systemFence, 1, 32, 0, nullptr, p));
  std::uint64_t result = 0;
  std::thread polls([&] {
    while (__atomic_load_n(p.b, __ATOMIC_ACQUIRE) != 1) std::this_thread::yield();
    result = p.b[1];
  });
  ok(cudaStreamSynchronize(nullptr));
  polls.join();
  std::printf("%d\n", static_cast<int>(result));
}

/// Two streams count in one place, ordered by an event or not.
void streams(bool sound) {
  Params p{nullptr, nullptr, sound};
  cudaStream_t a = nullptr, b = nullptr;
  cudaEvent_t event = nullptr;
  ok(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
  ok(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
  ok(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  ok(cudaMalloc(&p.a, 4096));
  ok(cudaMemsetAsync(p.a, 0, 4096));
  ok(cudaDeviceSynchronize());
  for (int round = 0; round < 4; ++round) {
    ok(enqueue(increments, 1, 32, 0, a, p));
    ok(cudaEventRecord(event, a));
    if (sound) ok(cudaStreamWaitEvent(b, event));
    ok(enqueue(increments, 1, 32, 0, b, p));
    ok(cudaEventRecord(event, b));
    if (sound) ok(cudaStreamWaitEvent(a, event));
  }
  ok(cudaDeviceSynchronize());
  ok(cudaFree(p.a));
}

/// The host reads what a copy brings, when the stream is done or when only some of it is.
void hostRead(bool sound) {
  unsigned* memory = nullptr;
  unsigned* pinned = nullptr;
  ok(cudaMalloc(&memory, 4096));
  ok(cudaHostAlloc(&pinned, 4096, cudaHostAllocMapped));
  ok(cudaMemsetAsync(memory, 0, 4096));
  ok(cudaMemcpyAsync(pinned, memory, 4096, cudaMemcpyDeviceToHost));
  unsigned seen = 1;
  std::thread reads;
  if (!sound) reads = std::thread([&] { seen = *pinned; });
  ok(cudaStreamSynchronize(nullptr));
  if (sound) {
    seen = *pinned;
  } else {
    reads.join();
  }
  std::printf("%u\n", seen);
}

/// The host changes what a copy is to read, before the stream is done.
void hostWrite(bool sound) {
  unsigned* memory = nullptr;
  unsigned source[4] = {1, 2, 3, 4};
  ok(cudaMalloc(&memory, 4096));
  ok(cudaMemcpyAsync(memory, source, sizeof(source), cudaMemcpyHostToDevice));
  if (sound) ok(cudaStreamSynchronize(nullptr));
  static_cast<volatile unsigned*>(source)[0] = 5;
  ok(cudaStreamSynchronize(nullptr));
  ok(cudaFree(memory));
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return 2;
  const auto is = [words](const char* name) { return std::strcmp(words[1], name) == 0; };
  const bool sound = std::strcmp(words[2], "sound") == 0;
  if (is("syncwarp")) block(syncwarp, 2, 32, 128, sound);
  if (is("syncthreads")) block(syncthreads, 2, 64, 256, sound);
  if (is("fence")) block(fence, 8, 32, 0, sound);
  if (is("system_fence")) polled(sound);
  if (is("stream")) streams(sound);
  if (is("host_read")) hostRead(sound);
  if (is("host_write")) hostWrite(sound);
  return 0;
}
