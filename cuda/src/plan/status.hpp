// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include "gradclip/cuda.hpp"
#include "plan/driver.hpp"

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

/// What every call into a process of others begins with and takes back: a context of the device is current, the
/// caller's own where it is one, and nothing that the call does breaks a capture that is going on elsewhere.
class DeviceGuard {
 public:
  /// `context`: the one to work in, or null for whichever of the device is current, else its primary one.
  explicit DeviceGuard(int device, void* context = nullptr) : found_(currentContext()) {
    exchanged_ = called(cudaThreadExchangeStreamCaptureMode(&mode_), "").ok();
    const bool isThere = context == nullptr && found_ != nullptr && deviceOfContext(found_) == device;
    context_ = isThere ? found_ : context != nullptr ? context : primaryContext(device);
    if (context_ == nullptr) {
      status_ = called(cudaErrorInvalidDevice, "cuDevicePrimaryCtxRetain");
      context_ = found_;
    }
    if (context_ != found_) setCurrentContext(context_);
  }
  ~DeviceGuard() {
    if (context_ != found_) setCurrentContext(found_);
    if (exchanged_) cudaThreadExchangeStreamCaptureMode(&mode_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

  const CudaStatus& status() const { return status_; }

  /// The context that the call works in.
  void* context() const { return context_; }

 private:
  void* const found_;
  void* context_ = nullptr;
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
  bool exchanged_ = false;
  CudaStatus status_;
};

/// Work that returns a status, in a context of the device.
template <class Work>
CudaStatus guarded(int device, const Work& work) {
  const DeviceGuard guard(device);
  return guard.status().ok() ? work() : guard.status();
}

/// The legacy default stream has two handles.
inline cudaStream_t streamOf(std::int64_t handle) {
  if (handle == 1) handle = 0;
  return reinterpret_cast<cudaStream_t>(static_cast<std::uintptr_t>(handle));
}

/// A stream that waits for no other, for what is complete before a call returns.
class PrivateStream {
 public:
  PrivateStream()
      : status_(called(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags")) {}
  ~PrivateStream() {
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  PrivateStream(const PrivateStream&) = delete;
  PrivateStream& operator=(const PrivateStream&) = delete;

  const CudaStatus& status() const { return status_; }
  cudaStream_t stream() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
  CudaStatus status_;
};

template <class T = void>
T* devicePointer(std::int64_t address) {
  return reinterpret_cast<T*>(static_cast<std::uintptr_t>(address));
}

inline std::int64_t addressOf(const void* p) { return static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(p)); }

}  // namespace gradclip
