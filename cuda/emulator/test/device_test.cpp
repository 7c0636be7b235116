// SPDX-License-Identifier: Apache-2.0
#include <cfenv>
#include <cstdlib>
#include <limits>
#include <string>

#include "support.hpp"

namespace {

struct At {
  int* p;
};

__global__ void writes(At p) { storeGlobal(p.p, 4); }

struct Halves {
  double* p;
};

__global__ void halves(Halves p) { storeGlobal(p.p, loadGlobal<double>(p.p) / 2); }

__global__ void third(Halves p) { storeGlobal(p.p, 1 / loadGlobal<double>(p.p)); }

}  // namespace

TEST_CASE("what the device says of itself") {
  cudaDeviceProp properties{};
  REQUIRE_OK(cudaGetDeviceProperties(&properties, 0));
  CHECK(std::string(properties.name) == "Emulated device");
  CHECK(properties.major == 9);
  CHECK(properties.multiProcessorCount == 2);
  int value = 0;
  REQUIRE_OK(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
  CHECK(value == 2);
  REQUIRE_OK(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 0));
  CHECK(value == 9);
  REQUIRE_OK(cudaDriverGetVersion(&value));
  CHECK(value >= 12000);
  CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrWarpSize, 99) == cudaErrorInvalidDevice);
  REQUIRE_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&value, writes, 256, 0));
  CHECK(value == 8);
  REQUIRE_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&value, writes, 256, 48 << 10));
  CHECK(value == 4);
  CHECK(std::string(cudaGetErrorName(cudaErrorMisalignedAddress)) == "cudaErrorMisalignedAddress");
  CHECK(std::string(cudaGetErrorString(cudaErrorIllegalAddress)) == "an illegal memory access was encountered");
  CHECK(cudaSetDevice(99) == cudaErrorInvalidDevice);
  cudaGetLastError();
}

TEST_CASE("a kernel rounds and keeps subnormals as a GPU does, whatever the caller's mode") {
  const double tiny = std::numeric_limits<double>::min();
  const Device<double> memory(std::vector<double>{tiny, 3});
#if defined(__x86_64__)
  const unsigned mode = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(mode | 0x8040);  // flush to zero, both ways
#endif
  std::fesetround(FE_UPWARD);
  const cudaError_t first = launched(halves, 1, 1, Halves{memory});
  const cudaError_t second = launched(third, 1, 1, Halves{memory + 1});
  const int rounding = std::fegetround();
  std::fesetround(FE_TONEAREST);
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr(mode);
#endif
  REQUIRE_OK(first);
  REQUIRE_OK(second);
  CHECK(rounding == FE_UPWARD);
  CHECK(memory.values()[0] == tiny / 2);
  CHECK(memory.values()[1] == 1.0 / 3);
}

// The tests of two devices need GRADCLIP_EMULATOR_DEVICES=2.
TEST_CASE("a kernel can't touch another device's memory, and a fault is one device's") {
  int count = 0;
  REQUIRE_OK(cudaGetDeviceCount(&count));
  if (count < 2) return;
  const Device<int> first(1);
  const TestStream stream;
  REQUIRE_OK(cudaSetDevice(1));
  const Device<int> second(1);
  cudaPointerAttributes about{};
  REQUIRE_OK(cudaPointerGetAttributes(&about, second));
  CHECK(about.device == 1);
  REQUIRE_OK(cudaPointerGetAttributes(&about, first));
  CHECK(about.device == 0);
  CHECK(enqueue(writes, 1, 1, 0, stream, At{second}) == cudaErrorInvalidResourceHandle);
  REQUIRE_OK(launched(writes, 1, 1, At{second}));
  CHECK(launched(writes, 1, 1, At{first}) == cudaErrorIllegalAddress);
  REQUIRE_OK(cudaSetDevice(0));
  REQUIRE_OK(launched(writes, 1, 1, At{first}));
  reset();
  // An event of one device orders a stream of the other.
  const TestEvent event;
  REQUIRE_OK(enqueue(writes, 1, 1, 0, stream, At{first}));
  REQUIRE_OK(cudaEventRecord(event, stream));
  REQUIRE_OK(cudaSetDevice(1));
  const TestStream other;
  REQUIRE_OK(cudaStreamWaitEvent(other, event));
  REQUIRE_OK(cudaMemcpyAsync(second, first, sizeof(int), cudaMemcpyDefault, other));
  REQUIRE_OK(cudaStreamSynchronize(other));
  CHECK(second.values()[0] == 4);
  REQUIRE_OK(cudaSetDevice(0));
}
