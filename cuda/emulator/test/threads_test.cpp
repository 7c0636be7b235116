// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <thread>

#include "support.hpp"

namespace {

struct Scale {
  float* p;
  unsigned count;
};

__global__ void doubles(Scale p) {
  float* shared = sharedMemory<float>();
  for (unsigned start = 0; start < p.count; start += blockDim.x) {
    const unsigned i = start + threadIdx.x;
    shared[threadIdx.x] = i < p.count ? loadGlobal<float>(p.p + i) : 0;
    __syncthreads();
    const float other = shared[blockDim.x - 1 - threadIdx.x];
    const float back = __shfl_xor_sync(0xffffffffU, other, 31);
    if (i < p.count) storeGlobal(p.p + i, back == back ? 2 * shared[threadIdx.x] : 0);
    __syncthreads();
  }
}

constexpr unsigned kCount = 1000;
#if defined(__SANITIZE_THREAD__)
constexpr int kRounds = 3;  // every change of stream takes it 90 ms
#else
constexpr int kRounds = 50;
#endif

/// What doctest's own checks aren't for: they may not be called from several threads at once here.
bool worker(int rounds, bool polls) {
  bool good = true;
  const auto ok = [&good](cudaError_t result) { good = good && result == cudaSuccess; };
  cudaStream_t stream = nullptr;
  ok(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  for (int round = 0; round < rounds && good; ++round) {
    float* p = nullptr;
    std::vector<float> host(kCount, 1.5F);
    ok(cudaMalloc(&p, kCount * sizeof(float)));
    ok(cudaMemcpyAsync(p, host.data(), kCount * sizeof(float), cudaMemcpyHostToDevice, stream));
    ok(enqueue(doubles, 1, 128, 128 * sizeof(float), stream, Scale{p, kCount}));
    ok(cudaMemcpyAsync(host.data(), p, kCount * sizeof(float), cudaMemcpyDeviceToHost, stream));
    if (polls) {
      cudaError_t state = cudaErrorNotReady;
      while (state == cudaErrorNotReady) state = cudaStreamQuery(stream);
      ok(state);
    } else {
      ok(cudaStreamSynchronize(stream));
    }
    for (const float value : host) good = good && value == 3;
    ok(cudaFree(p));
  }
  ok(cudaStreamDestroy(stream));
  return good;
}

}  // namespace

TEST_CASE("many threads at once") {
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&good, i] { good += worker(kRounds, i % 2 == 0) ? 1 : 0; });
  for (auto& thread : threads) thread.join();
  CHECK(good == 8);
}

TEST_CASE("a thread that polls sees what another's wait brings about") {
  const Pinned<float> slot(1);
  *slot = 1;
  const TestStream stream;
  REQUIRE_OK(enqueue(doubles, 1, 32, 128, stream, Scale{slot, 1}));
  std::thread waits([&stream] { cudaStreamSynchronize(stream); });
  while (__atomic_load_n(reinterpret_cast<std::uint32_t*>(static_cast<float*>(slot)), __ATOMIC_ACQUIRE) !=
         0x40000000U) {
    std::this_thread::yield();
  }
  waits.join();
}
