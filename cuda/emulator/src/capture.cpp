// SPDX-License-Identifier: Apache-2.0
#include "capture.hpp"

#include "call.hpp"
#include "events.hpp"
#include "graphs.hpp"

namespace gradclip::emulator {

cudaError_t captureItem(Stream& stream, Counted counted, Action action) {
  Capture& capture = *stream.capture;
  if (!capture.valid) return cudaErrorStreamCaptureInvalidated;
  capture.items.push_back({counted, std::move(action)});
  ++capture.branches[&stream].items;
  return cudaSuccess;
}

cudaError_t recordCaptured(Stream& stream, Event& event) {
  Capture& capture = *stream.capture;
  if (!capture.valid) return cudaErrorStreamCaptureInvalidated;
  event.capture = stream.capture;
  event.captured = &stream;
  event.position = capture.branches[&stream].items;
  return cudaSuccess;
}

cudaError_t waitCaptured(Stream& stream, Event& event) {
  if (event.capture == nullptr) {
    invalidate(*stream.capture);
    return cudaErrorStreamCaptureIsolation;
  }
  Capture& capture = *event.capture;
  if (!capture.valid) return cudaErrorStreamCaptureInvalidated;
  if (stream.capture != nullptr && stream.capture != event.capture) {
    invalidate(capture);
    invalidate(*stream.capture);
    return cudaErrorStreamCaptureMerge;
  }
  if (stream.legacy) {
    invalidate(capture);
    return cudaErrorStreamCaptureImplicit;
  }
  Capture::Branch& waitedFor = capture.branches[const_cast<Stream*>(event.captured)];
  if (&stream != event.captured && event.position > waitedFor.joined) waitedFor.joined = event.position;
  if (stream.capture == nullptr) {
    stream.capture = event.capture;
    capture.branches[&stream] = {1, 0};  // That it waited is an item to be waited for.
  } else {
    ++capture.branches[&stream].items;
  }
  return cudaSuccess;
}

void invalidate(Capture& capture) { capture.valid = false; }

namespace {
thread_local cudaStreamCaptureMode threadMode = cudaStreamCaptureModeGlobal;
}

cudaError_t unsafeCall() {
  std::lock_guard<std::mutex> state(world().state);
  bool forbidden = false;
  for (const auto& device : world().devices) {
    for (const auto& stream : device->streams) {
      if (stream->capture == nullptr || threadMode == cudaStreamCaptureModeRelaxed) continue;
      const bool own = stream->capture->thread == std::this_thread::get_id();
      const bool forAll =
          stream->capture->mode == cudaStreamCaptureModeGlobal && threadMode == cudaStreamCaptureModeGlobal;
      if (!forAll && !(own && stream->capture->mode != cudaStreamCaptureModeRelaxed)) continue;
      invalidate(*stream->capture);
      forbidden = true;
    }
  }
  return forbidden ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

bool invalidateCaptures(Device& device, bool blockingOnly) {
  bool any = false;
  for (const auto& stream : device.streams) {
    if (stream->capture != nullptr && (stream->blocking || !blockingOnly)) {
      invalidate(*stream->capture);
      any = true;
    }
  }
  return any;
}

namespace {

/// The capture that started in `origin` is over: its streams work again.
cudaError_t end(Stream& origin, std::shared_ptr<Capture>& ended) {
  if (origin.capture == nullptr) return cudaErrorIllegalState;
  ended = origin.capture;
  if (ended->origin != &origin) {
    invalidate(*ended);
    return cudaErrorStreamCaptureUnmatched;
  }
  bool joined = true;
  for (auto& [stream, branch] : ended->branches) {
    if (stream != &origin && branch.joined < branch.items) joined = false;
    stream->capture = nullptr;
  }
  if (!ended->valid) return cudaErrorStreamCaptureInvalidated;
  return joined ? cudaSuccess : cudaErrorStreamCaptureUnjoined;
}

}  // namespace

}  // namespace gradclip::emulator

using namespace gradclip::emulator;

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    const auto stream = findStream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->legacy) return cudaErrorStreamCaptureUnsupported;
    if (stream->capture != nullptr) return cudaErrorIllegalState;
    stream->capture = std::make_shared<Capture>();
    stream->capture->origin = stream.get();
    stream->capture->mode = mode;
    stream->capture->thread = std::this_thread::get_id();
    stream->capture->branches[stream.get()] = {};
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    const auto stream = findStream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (graph == nullptr) return cudaErrorInvalidValue;
    *graph = nullptr;
    std::shared_ptr<Capture> ended;
    const cudaError_t result = end(*stream, ended);
    if (result == cudaSuccess) *graph = newGraph(std::move(ended->items));
    return result;
  });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return call([&] {
    std::swap(*mode, threadMode);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    const auto stream = findStream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->legacy) {
      for (const auto& other : stream->device->streams) {
        if (other->blocking && other->capture != nullptr) return cudaErrorStreamCaptureImplicit;
      }
    }
    *status = stream->capture == nullptr  ? cudaStreamCaptureStatusNone
              : stream->capture->valid ? cudaStreamCaptureStatusActive
                                       : cudaStreamCaptureStatusInvalidated;
    return cudaSuccess;
  });
}
