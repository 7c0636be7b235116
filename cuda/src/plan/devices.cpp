// SPDX-License-Identifier: Apache-2.0
// Devices, their memory and their streams.
#include <cstdio>

#include "plan/status.hpp"
#include "kernels/launches.hpp"

#if defined(GRADCLIP_EMULATED)
#include <gradclip_emulator.hpp>
#endif

namespace gradclip {
namespace {

/// Whether the binary has code for a device.
bool covered(int device) {
  const DeviceGuard guard(device);
  Grids grids;
  const bool found = guard.status().ok() && findGrids(device, &grids) == cudaSuccess;
  cudaGetLastError();
  return found;
}

}  // namespace

bool CudaStatus::fatal() const {
  switch (code) {
    case 214:  // ECC
    case 220:  // NVLink
    case 700:  // illegal address
    case 702:  // timeout
    case 709:  // context destroyed
    case 710:  // assert
    case 714:  // hardware stack
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:  // address space
    case 718:  // program counter
    case 719:  // launch failure
    case 999:  // unknown
      return true;
    default: return false;
  }
}

const char* cudaErrorNameOf(int code) { return cudaGetErrorName(static_cast<cudaError_t>(code)); }
const char* cudaErrorTextOf(int code) { return cudaGetErrorString(static_cast<cudaError_t>(code)); }

int cudaDevices() {
  int count = 0;
  if (!called(cudaGetDeviceCount(&count), "cudaGetDeviceCount").ok()) return 0;
  return count;
}

bool cudaUsable(char* reason, std::size_t bytes) {
  int count = 0, driver = 0;
  const CudaStatus status = called(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  if (!status.ok()) {
    const bool noDriver = cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0;
    if (noDriver) {
      std::snprintf(reason, bytes, "no NVIDIA driver is installed");
    } else {
      std::snprintf(reason, bytes, "%s: %s", cudaErrorNameOf(status.code), cudaErrorTextOf(status.code));
    }
    return false;
  }
  for (int device = 0; device < count; ++device) {
    if (covered(device)) return true;
  }
  std::snprintf(reason, bytes, count == 0 ? "no CUDA device" : "no CUDA device that this binary has code for");
  return false;
}

CudaStatus cudaDescribe(int device, char* text, std::size_t bytes) {
  cudaDeviceProp properties;
  if (auto s = called(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties"); !s.ok()) return s;
  std::int64_t freeBytes = 0;
  if (auto s = cudaFreeMemory(device, &freeBytes); !s.ok()) return s;
  int driver = 0, runtime = 0;
  if (auto s = called(cudaDriverGetVersion(&driver), "cudaDriverGetVersion"); !s.ok()) return s;
  if (auto s = called(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion"); !s.ok()) return s;
  std::snprintf(text, bytes,
                "name=%s\ncompute capability=%d.%d\nmemory=%lld\nfree memory=%lld\ndriver=%d.%d\nruntime=%d.%d\n"
                "covered=%s\n",
                properties.name, properties.major, properties.minor, static_cast<long long>(properties.totalGlobalMem),
                static_cast<long long>(freeBytes), driver / 1000, driver % 1000 / 10, runtime / 1000,
                runtime % 1000 / 10, covered(device) ? "true" : "false");
  return {};
}

int cudaCurrentDevice() {
  int device = 0;
  return called(cudaGetDevice(&device), "cudaGetDevice").ok() ? device : 0;
}

CudaStatus cudaDeviceOf(std::int64_t address, int* device) {
  cudaPointerAttributes attributes{};
  const CudaStatus status =
      called(cudaPointerGetAttributes(&attributes, devicePointer(address)), "cudaPointerGetAttributes");
  const bool found = attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
  *device = status.ok() && found ? attributes.device : -1;
  return status.fatal() ? status : CudaStatus{};
}

CudaStatus cudaFreeMemory(int device, std::int64_t* bytes) {
  const DeviceGuard guard(device);
  if (!guard.status().ok()) return guard.status();
  std::size_t available = 0, total = 0;
  const CudaStatus status = called(cudaMemGetInfo(&available, &total), "cudaMemGetInfo");
  *bytes = static_cast<std::int64_t>(available);
  return status;
}

CudaStatus cudaAllocate(int device, std::int64_t bytes, std::int64_t* address) {
  const DeviceGuard guard(device);
  if (!guard.status().ok()) return guard.status();
  void* memory = nullptr;
  const auto size = static_cast<std::size_t>(bytes > 0 ? bytes : 1);
  if (auto s = called(cudaMalloc(&memory, size), "cudaMalloc"); !s.ok()) return s;
  CudaStatus status = called(cudaMemsetAsync(memory, 0, size, nullptr), "cudaMemsetAsync");
  if (status.ok()) status = called(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
  if (!status.ok()) {
    cudaFree(memory);
    return status;
  }
  *address = addressOf(memory);
  return {};
}

CudaStatus cudaRelease(int device, std::int64_t address) {
  const DeviceGuard guard(device);
  if (!guard.status().ok()) return guard.status();
  return called(cudaFree(devicePointer(address)), "cudaFree");
}

CudaStatus cudaCopyToDevice(int device, std::int64_t stream, std::int64_t to, const void* from, std::int64_t bytes) {
  const DeviceGuard guard(device);
  if (!guard.status().ok()) return guard.status();
  const auto size = static_cast<std::size_t>(bytes);
  const CudaStatus status = called(
      cudaMemcpyAsync(devicePointer(to), from, size, cudaMemcpyHostToDevice, streamOf(stream)), "cudaMemcpyAsync");
  return status.ok() ? called(cudaStreamSynchronize(streamOf(stream)), "cudaStreamSynchronize") : status;
}

CudaStatus cudaCopyToHost(int device, std::int64_t stream, void* to, std::int64_t from, std::int64_t bytes) {
  const DeviceGuard guard(device);
  if (!guard.status().ok()) return guard.status();
  const auto size = static_cast<std::size_t>(bytes);
  const CudaStatus status = called(
      cudaMemcpyAsync(to, devicePointer(from), size, cudaMemcpyDeviceToHost, streamOf(stream)), "cudaMemcpyAsync");
  return status.ok() ? called(cudaStreamSynchronize(streamOf(stream)), "cudaStreamSynchronize") : status;
}

CudaStatus cudaCreateStream(int device, std::int64_t* stream) {
  const DeviceGuard guard(device);
  if (!guard.status().ok()) return guard.status();
  cudaStream_t created = nullptr;
  const CudaStatus status =
      called(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  *stream = addressOf(created);
  return status;
}

CudaStatus cudaDestroyStream(int device, std::int64_t stream) {
  const DeviceGuard guard(device);
  if (!guard.status().ok()) return guard.status();
  return called(cudaStreamDestroy(streamOf(stream)), "cudaStreamDestroy");
}

CudaStatus cudaSynchronizeStream(int device, std::int64_t stream) {
  const DeviceGuard guard(device);
  if (!guard.status().ok()) return guard.status();
  return called(cudaStreamSynchronize(streamOf(stream)), "cudaStreamSynchronize");
}

#if defined(GRADCLIP_EMULATED)

bool memoryRange(std::int64_t address, std::int64_t* base, std::int64_t* bytes) {
  void* start = nullptr;
  std::size_t size = 0;
  if (emulator::memoryRange(devicePointer(address), &start, &size) != cudaSuccess) return false;
  *base = addressOf(start);
  *bytes = static_cast<std::int64_t>(size);
  return true;
}

#else

namespace {

/// cuMemGetAddressRange: looked up, so that the library needs no libcuda to load.
using AddressRange = int (*)(unsigned long long* base, std::size_t* bytes, unsigned long long address);

AddressRange findAddressRange() {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result;
#if CUDART_VERSION >= 12050
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion("cuMemGetAddressRange", &found, 12000, cudaEnableDefault, &result);
#else
  const cudaError_t error = cudaGetDriverEntryPoint("cuMemGetAddressRange", &found, cudaEnableDefault, &result);
#endif
  cudaGetLastError();
  return error == cudaSuccess && result == cudaDriverEntryPointSuccess ? reinterpret_cast<AddressRange>(found) : nullptr;
}

}  // namespace

bool memoryRange(std::int64_t address, std::int64_t* base, std::int64_t* bytes) {
  // Looked up at each call it would cost as much as the call; found by two threads at once it is the same.
  static AddressRange function = nullptr;
  AddressRange range = __atomic_load_n(&function, __ATOMIC_RELAXED);
  if (range == nullptr) {
    range = findAddressRange();
    __atomic_store_n(&function, range, __ATOMIC_RELAXED);
  }
  unsigned long long start = 0;
  std::size_t size = 0;
  if (range == nullptr || range(&start, &size, static_cast<unsigned long long>(address)) != 0) return false;
  *base = static_cast<std::int64_t>(start);
  *bytes = static_cast<std::int64_t>(size);
  return true;
}

#endif

}  // namespace gradclip
