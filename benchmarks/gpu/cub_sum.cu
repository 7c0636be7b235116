// SPDX-License-Identifier: Apache-2.0
// Times CUB's sum of squares of float32 on a device, as a norm's peer: in the order of additions that is the same on
// every GPU where CUB has one (CCCL 3.1), and in the one that is the same from run to run. Lines of JSON, one a figure.
//
//   cub_sum BYTES [ROUNDS]
#include <cub/cub.cuh>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#if CUB_VERSION >= 300100
#include <cuda/__execution/determinism.h>
#include <cuda/__execution/require.h>
#endif
#include <thrust/iterator/transform_iterator.h>

namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "cub_sum: %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

struct Square {
  __host__ __device__ float operator()(float x) const { return x * x; }
};

__global__ void fill(float* to, std::size_t count) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    to[i] = static_cast<float>(static_cast<int>(i * 2654435761u % 2001) - 1000) * 1e-3f;
  }
}

/// Median and least of rounds, each from an enqueued call to the end of its work.
template <class Sum>
void timed(const char* what, std::size_t bytes, int rounds, const float* result, const Sum& sum) {
  std::vector<double> micros;
  for (int i = 0; i < rounds + 3; ++i) {
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    const auto from = std::chrono::steady_clock::now();
    check(sum(), what);
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    const auto to = std::chrono::steady_clock::now();
    if (i >= 3) micros.push_back(std::chrono::duration<double, std::micro>(to - from).count());
  }
  std::sort(micros.begin(), micros.end());
  float value = 0;
  check(cudaMemcpy(&value, result, sizeof value, cudaMemcpyDeviceToHost), "cudaMemcpy");
  std::printf(
      "{\"library\": \"CUB %d\", \"what\": \"%s\", \"bytes\": %zu, \"micros\": %.3f, \"micros_least\": %.3f, \"sum\": "
      "\"%a\"}\n",
      CUB_VERSION, what, bytes, micros[micros.size() / 2], micros.front(), static_cast<double>(value));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t bytes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0, count = bytes / sizeof(float);
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 20;
  if (count == 0 || count > 0x7fffffff || rounds < 1) {
    std::fprintf(stderr, "cub_sum BYTES [ROUNDS]: 4 to 2^33 bytes\n");
    return 2;
  }
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("cub_sum: no CUDA device");
    return 77;
  }
  float *x = nullptr, *result = nullptr;
  check(cudaMalloc(&x, count * sizeof(float)), "cudaMalloc");
  check(cudaMalloc(&result, sizeof(float)), "cudaMalloc");
  fill<<<1024, 256>>>(x, count);
  const auto squares = thrust::make_transform_iterator(x, Square{});
  const int elements = static_cast<int>(count);
#if CUB_VERSION >= 300100
  const auto same = cuda::execution::require(cuda::execution::determinism::gpu_to_gpu);
  timed("NORM, the same on every GPU", bytes, rounds, result,
        [&] { return cub::DeviceReduce::Sum(squares, result, elements, same); });
#else
  std::fprintf(stderr, "cub_sum: CUB %d has no sum that is the same on every GPU; CCCL 3.1 has\n", CUB_VERSION);
#endif
  std::size_t scratchBytes = 0;
  void* scratch = nullptr;
  check(cub::DeviceReduce::Sum(scratch, scratchBytes, squares, result, elements), "cub::DeviceReduce::Sum");
  check(cudaMalloc(&scratch, scratchBytes), "cudaMalloc");
  timed("NORM, the same from run to run", bytes, rounds, result,
        [&] { return cub::DeviceReduce::Sum(scratch, scratchBytes, squares, result, elements); });
  return 0;
}
