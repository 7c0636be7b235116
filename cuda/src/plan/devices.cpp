// SPDX-License-Identifier: Apache-2.0
// Devices, their memory and their streams.
#include <cstdio>

#include "plan/status.hpp"

namespace gradclip {
namespace {

// The architectures of the build, in tenths: machine code, which runs on devices of the same major number and a minor
// one not below, and PTX, which the driver compiles for all that are not below. Emulated kernels run on whatever there
// is.
#if defined(GRADCLIP_MACHINE_CODE)
constexpr int kMachineCode[] = {GRADCLIP_MACHINE_CODE};
constexpr int kPtx[] = {GRADCLIP_PTX};
#else
constexpr int kMachineCode[] = {90};
constexpr int kPtx[] = {75};
#endif

/// Whether the binary has code for a device. Asking for attributes makes no context, as looking for the kernels would.
bool covered(int device) {
  int major = 0, minor = 0;
  const bool known = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
                     cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess;
  cudaGetLastError();
  const int capability = 10 * major + minor;
  for (int code : kMachineCode) {
    if (known && code / 10 == major && code <= capability) return true;
  }
  for (int ptx : kPtx) {
    if (known && ptx <= capability) return true;
  }
  return false;
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
  int driver = 0, runtime = 0;
  if (auto s = called(cudaDriverGetVersion(&driver), "cudaDriverGetVersion"); !s.ok()) return s;
  if (auto s = called(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion"); !s.ok()) return s;
  char freeMemory[64] = "";
  // Asking would make a context, which takes half a gigabyte, where there is none.
  if (hasPrimaryContext(device)) {
    std::int64_t freeBytes = 0;
    if (auto s = cudaFreeMemory(device, &freeBytes); !s.ok()) return s;
    std::snprintf(freeMemory, sizeof freeMemory, "free memory=%lld\n", static_cast<long long>(freeBytes));
  }
  std::snprintf(text, bytes,
                "name=%s\ncompute capability=%d.%d\nmemory=%lld\n%sdriver=%d.%d\nruntime=%d.%d\ncovered=%s\n",
                properties.name, properties.major, properties.minor, static_cast<long long>(properties.totalGlobalMem),
                freeMemory, driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10,
                covered(device) ? "true" : "false");
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
  return guarded(device, [&] {
    std::size_t available = 0, total = 0;
    const CudaStatus status = called(cudaMemGetInfo(&available, &total), "cudaMemGetInfo");
    *bytes = static_cast<std::int64_t>(available);
    return status;
  });
}

CudaStatus cudaAllocate(int device, std::int64_t bytes, std::int64_t* address) {
  return guarded(device, [&] {
    void* memory = nullptr;
    const auto size = static_cast<std::size_t>(bytes > 0 ? bytes : 1);
    if (auto s = called(cudaMalloc(&memory, size), "cudaMalloc"); !s.ok()) return s;
    // On a stream of its own: the legacy one would wait for everybody's, and break a capture.
    const PrivateStream own;
    CudaStatus status = own.status();
    if (status.ok()) status = called(cudaMemsetAsync(memory, 0, size, own.stream()), "cudaMemsetAsync");
    if (status.ok()) status = called(cudaStreamSynchronize(own.stream()), "cudaStreamSynchronize");
    if (!status.ok()) {
      cudaFree(memory);
      return status;
    }
    *address = addressOf(memory);
    return CudaStatus{};
  });
}

CudaStatus cudaRelease(int device, std::int64_t address) {
  return guarded(device, [&] { return called(cudaFree(devicePointer(address)), "cudaFree"); });
}

namespace {

CudaStatus copy(int device, std::int64_t stream, void* to, const void* from, std::int64_t bytes, cudaMemcpyKind kind) {
  return guarded(device, [&] {
    const cudaError_t error = cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), kind, streamOf(stream));
    if (error != cudaSuccess) return called(error, "cudaMemcpyAsync");
    return called(cudaStreamSynchronize(streamOf(stream)), "cudaStreamSynchronize");
  });
}

}  // namespace

CudaStatus cudaCopyToDevice(int device, std::int64_t stream, std::int64_t to, const void* from, std::int64_t bytes) {
  return copy(device, stream, devicePointer(to), from, bytes, cudaMemcpyHostToDevice);
}

CudaStatus cudaCopyToHost(int device, std::int64_t stream, void* to, std::int64_t from, std::int64_t bytes) {
  return copy(device, stream, to, devicePointer(from), bytes, cudaMemcpyDeviceToHost);
}

CudaStatus cudaCreateStream(int device, std::int64_t* stream) {
  return guarded(device, [&] {
    cudaStream_t created = nullptr;
    const CudaStatus status =
        called(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    *stream = addressOf(created);
    return status;
  });
}

CudaStatus cudaDestroyStream(int device, std::int64_t stream) {
  return guarded(device, [&] { return called(cudaStreamDestroy(streamOf(stream)), "cudaStreamDestroy"); });
}

CudaStatus cudaSynchronizeStream(int device, std::int64_t stream) {
  return guarded(device, [&] { return called(cudaStreamSynchronize(streamOf(stream)), "cudaStreamSynchronize"); });
}

}  // namespace gradclip
