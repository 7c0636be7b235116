// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>

#include "block.hpp"
#include "call.hpp"
#include "contexts.hpp"
#include "capture.hpp"
#include "counting.hpp"
#include "shared_memory.hpp"

using namespace gradclip::emulator;

namespace {

constexpr int kVersion = CUDART_VERSION;
constexpr int kMultiprocessors = 2;
constexpr int kThreadsPerMultiprocessor = 2048;
constexpr int kBlocksPerMultiprocessor = 32;
constexpr int kSharedPerMultiprocessor = 228 << 10;
constexpr std::size_t kSharedOfSystem = 1 << 10;  ///< of each block
constexpr int kRegisters = 65536;
constexpr int kL2Bytes = 32 << 20;
constexpr int kMaxGrid = 0x7fffffff;

bool exists(int device) { return device >= 0 && static_cast<std::size_t>(device) < world().devices.size(); }

}  // namespace

cudaError_t cudaDriverGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  return call([&] {
    *count = static_cast<int>(world().devices.size());
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return call([&] {
    *device = currentDevice().ordinal;
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return call([&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    selectDevice(device);
    usePrimary(*world().devices[static_cast<std::size_t>(device)]);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return deviceCall([] {
    countSynchronisation();
    Device& device = currentDevice();
    {
      std::lock_guard<std::mutex> state(world().state);
      if (invalidateCaptures(device, false)) return cudaErrorStreamCaptureUnsupported;
    }
    drain(device);
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return call([&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    cudaDeviceProp p{};
    std::strncpy(p.name, "Emulated device", sizeof(p.name) - 1);
    p.totalGlobalMem = world().memory;
    p.sharedMemPerBlock = SharedMemory::kLimit;
    p.sharedMemPerBlockOptin = SharedMemory::kMost;
    p.sharedMemPerMultiprocessor = kSharedPerMultiprocessor;
    p.regsPerBlock = p.regsPerMultiprocessor = kRegisters;
    p.warpSize = warpSize;
    p.maxThreadsPerBlock = Block::kMaxThreads;
    p.maxThreadsDim[0] = Block::kMaxThreads;
    p.maxThreadsDim[1] = p.maxThreadsDim[2] = 1;
    p.maxGridSize[0] = kMaxGrid;
    p.maxGridSize[1] = p.maxGridSize[2] = 1;
    p.major = 9;
    p.minor = 0;
    p.multiProcessorCount = kMultiprocessors;
    p.canMapHostMemory = p.unifiedAddressing = p.concurrentKernels = p.cooperativeLaunch = 1;
    p.pciBusID = device + 1;
    p.memoryBusWidth = 64;
    p.l2CacheSize = kL2Bytes;
    p.maxThreadsPerMultiProcessor = kThreadsPerMultiprocessor;
    p.maxBlocksPerMultiProcessor = kBlocksPerMultiprocessor;
    *properties = p;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return call([&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    switch (attribute) {
      case cudaDevAttrMaxThreadsPerBlock: *value = Block::kMaxThreads; break;
      case cudaDevAttrMaxGridDimX: *value = kMaxGrid; break;
      case cudaDevAttrMaxSharedMemoryPerBlock: *value = SharedMemory::kLimit; break;
      case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = SharedMemory::kMost; break;
      case cudaDevAttrWarpSize: *value = warpSize; break;
      case cudaDevAttrMaxRegistersPerBlock:
      case cudaDevAttrMaxRegistersPerMultiprocessor: *value = kRegisters; break;
      case cudaDevAttrMultiProcessorCount: *value = kMultiprocessors; break;
      case cudaDevAttrCanMapHostMemory:
      case cudaDevAttrConcurrentKernels:
      case cudaDevAttrUnifiedAddressing:
      case cudaDevAttrCooperativeLaunch: *value = 1; break;
      case cudaDevAttrClockRate:
      case cudaDevAttrMemoryClockRate: *value = 1000000; break;
      case cudaDevAttrGlobalMemoryBusWidth: *value = 64; break;
      case cudaDevAttrL2CacheSize: *value = kL2Bytes; break;
      case cudaDevAttrMaxThreadsPerMultiProcessor: *value = kThreadsPerMultiprocessor; break;
      case cudaDevAttrMaxBlocksPerMultiprocessor: *value = kBlocksPerMultiprocessor; break;
      case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
      case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
      case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = kSharedPerMultiprocessor; break;
      case cudaDevAttrIntegrated:
      case cudaDevAttrManagedMemory:
      case cudaDevAttrPageableMemoryAccess: *value = 0; break;
      default: return cudaErrorInvalidValue;
    }
    return cudaSuccess;
  });
}

int gradclip::emulator::blocksAMultiprocessor(int threads, std::size_t sharedBytes) {
  const int warps = (threads + warpSize - 1) / warpSize;
  const int fit = threads > static_cast<int>(Block::kMaxThreads)
                      ? 0
                      : std::min(kBlocksPerMultiprocessor, kThreadsPerMultiprocessor / warpSize / warps);
  return std::min(fit, static_cast<int>(kSharedPerMultiprocessor / (sharedBytes + kSharedOfSystem)));
}
