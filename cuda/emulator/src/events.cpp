// SPDX-License-Identifier: Apache-2.0
#include "events.hpp"

#include <unordered_map>

#include "call.hpp"
#include "capture.hpp"
#include "counting.hpp"

namespace gradclip::emulator {

namespace {

std::unordered_map<cudaEvent_t, std::shared_ptr<Event>>& events() {
  static auto* all = new std::unordered_map<cudaEvent_t, std::shared_ptr<Event>>;
  return *all;
}

cudaError_t workOf(cudaEvent_t handle, std::shared_ptr<Work>& work) {
  std::lock_guard<std::mutex> state(world().state);
  const auto event = findEvent(handle);
  if (event == nullptr) return cudaErrorInvalidResourceHandle;
  if (event->capture != nullptr) return cudaErrorCapturedEvent;
  work = event->work;
  return event->device->fault;
}

cudaError_t faultOfEvent(cudaEvent_t handle) {
  std::lock_guard<std::mutex> state(world().state);
  const auto event = findEvent(handle);
  return event == nullptr ? cudaSuccess : event->device->fault;
}

}  // namespace

std::shared_ptr<Event> findEvent(cudaEvent_t handle) {
  const auto found = events().find(handle);
  return found == events().end() ? nullptr : found->second;
}

}  // namespace gradclip::emulator

using namespace gradclip::emulator;

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned flags) {
  return deviceCall([&] {
    if (handle == nullptr || (flags & ~(cudaEventBlockingSync | cudaEventDisableTiming)) != 0) {
      return cudaErrorInvalidValue;
    }
    std::lock_guard<std::mutex> state(world().state);
    auto event = std::make_shared<Event>();
    event->device = &currentDevice();
    *handle = reinterpret_cast<cudaEvent_t>(event.get());
    events().emplace(*handle, std::move(event));
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    return events().erase(handle) == 1 ? cudaSuccess : cudaErrorInvalidResourceHandle;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t streamHandle) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    const auto event = findEvent(handle);
    const auto stream = findStream(streamHandle);
    if (event == nullptr || stream == nullptr || event->device != stream->device) {
      return cudaErrorInvalidResourceHandle;
    }
    if (stream->capture != nullptr) {
      event->work = nullptr;
      return recordCaptured(*stream, *event);
    }
    const cudaError_t result = enqueue(*stream, Counted::Nothing, [](Stream&) { return cudaSuccess; });
    if (result != cudaSuccess) return result;
    event->work = stream->tail;
    event->capture = nullptr;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t streamHandle, cudaEvent_t handle, unsigned flags) {
  return deviceCall([&] {
    if (flags != 0) return cudaErrorInvalidValue;
    std::lock_guard<std::mutex> state(world().state);
    const auto event = findEvent(handle);
    const auto stream = findStream(streamHandle);
    if (event == nullptr || stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr || event->capture != nullptr) return waitCaptured(*stream, *event);
    if (event->work == nullptr) return cudaSuccess;
    return enqueue(*stream, Counted::Nothing, [](Stream&) { return cudaSuccess; }, {event->work});
  });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return deviceCall([&] {
    countQuery();
    std::shared_ptr<Work> work;
    if (const cudaError_t result = workOf(handle, work); result != cudaSuccess) return result;
    if (const cudaError_t refused = unsafeCall(); refused != cudaSuccess) return refused;
    const bool done = work == nullptr || advance(work);
    const cudaError_t fault = faultOfEvent(handle);
    return fault != cudaSuccess ? fault : done ? cudaSuccess : cudaErrorNotReady;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return deviceCall([&] {
    countSynchronisation();
    std::shared_ptr<Work> work;
    if (const cudaError_t result = workOf(handle, work); result != cudaSuccess) return result;
    if (work != nullptr) finish(work);
    return faultOfEvent(handle);
  });
}
