// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include "call.hpp"
#include "capture.hpp"
#include "counting.hpp"

using namespace gradclip::emulator;

namespace {

/// What the stream was given last, or null; fails for a stream that is captured, which must not be waited for.
cudaError_t lastOf(cudaStream_t handle, std::shared_ptr<Work>& work) {
  std::lock_guard<std::mutex> state(world().state);
  const auto stream = findStream(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (stream->device->fault != cudaSuccess) return stream->device->fault;
  if (stream->capture != nullptr) {
    invalidate(*stream->capture);
    return cudaErrorStreamCaptureUnsupported;
  }
  work = stream->tail;
  return cudaSuccess;
}

cudaError_t faultOfStream(cudaStream_t handle) {
  std::lock_guard<std::mutex> state(world().state);
  const auto stream = findStream(handle);
  return stream == nullptr ? cudaSuccess : stream->device->fault;
}

}  // namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* handle, unsigned flags) {
  return deviceCall([&] {
    if (handle == nullptr || (flags & ~cudaStreamNonBlocking) != 0) return cudaErrorInvalidValue;
    std::lock_guard<std::mutex> state(world().state);
    auto stream = std::make_shared<Stream>();
    stream->device = &currentDevice();
    stream->blocking = (flags & cudaStreamNonBlocking) == 0;
    *handle = reinterpret_cast<cudaStream_t>(stream.get());
    stream->device->streams.push_back(std::move(stream));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetDevice(cudaStream_t handle, int* device) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    const auto stream = findStream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    // As seen on an H200 with driver 580: the question is refused, and the capture is lost.
    if (stream->capture != nullptr) {
      invalidate(*stream->capture);
      return cudaErrorStreamCaptureUnsupported;
    }
    *device = stream->device->ordinal;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    const auto stream = findStream(handle);
    if (stream == nullptr || static_cast<void*>(stream.get()) != static_cast<void*>(handle)) {
      return cudaErrorInvalidResourceHandle;
    }
    stream->destroyed = true;
    auto& all = stream->device->streams;
    for (auto at = all.begin(); stream->pending.empty() && at != all.end(); ++at) {
      if (*at == stream) {
        all.erase(at);
        break;
      }
    }
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return deviceCall([&] {
    countSynchronisation();
    std::shared_ptr<Work> work;
    if (const cudaError_t result = lastOf(handle, work); result != cudaSuccess) return result;
    if (work != nullptr) finish(work);
    return faultOfStream(handle);
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return deviceCall([&] {
    countQuery();
    std::shared_ptr<Work> work;
    if (const cudaError_t result = lastOf(handle, work); result != cudaSuccess) return result;
    const bool done = work == nullptr || advance(work);
    const cudaError_t fault = faultOfStream(handle);
    return fault != cudaSuccess ? fault : done ? cudaSuccess : cudaErrorNotReady;
  });
}
