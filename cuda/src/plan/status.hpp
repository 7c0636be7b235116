// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include "gradclip/cuda.hpp"

namespace gradclip {

/// The status of one CUDA call. A thread's last error is left clean.
inline CudaStatus called(cudaError_t error, const char* call) {
  CudaStatus status;
  if (error == cudaSuccess) return status;
  cudaGetLastError();
  status.code = static_cast<int>(error);
  status.call = call;
  return status;
}

/// Makes a device current while the guard lives, and touches nothing where it is so already.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) : device_(device) {
    if (cudaGetDevice(&found_) == cudaSuccess && found_ != device_) status_ = called(cudaSetDevice(device_), "cudaSetDevice");
  }
  ~DeviceGuard() {
    if (found_ != device_) cudaSetDevice(found_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

  const CudaStatus& status() const { return status_; }

 private:
  int device_;
  int found_ = 0;
  CudaStatus status_;
};

inline cudaStream_t streamOf(std::int64_t handle) {
  return reinterpret_cast<cudaStream_t>(static_cast<std::uintptr_t>(handle));
}

template <class T = void>
T* devicePointer(std::int64_t address) {
  return reinterpret_cast<T*>(static_cast<std::uintptr_t>(address));
}

inline std::int64_t addressOf(const void* p) { return static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(p)); }

/// The allocation that holds an address; false where none does.
bool memoryRange(std::int64_t address, std::int64_t* base, std::int64_t* bytes);

}  // namespace gradclip
