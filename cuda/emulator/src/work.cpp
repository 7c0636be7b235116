// SPDX-License-Identifier: Apache-2.0
#include "work.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>

#include "access.hpp"
#include "capture.hpp"
#include "counting.hpp"
#include "world.hpp"

namespace gradclip::emulator {

namespace {

void retire(Work& work) {
  work.action = nullptr;
  work.after.clear();
  work.stream = nullptr;
  work.done = true;
}

void forgetDrained(Device& device) {
  auto& streams = device.streams;
  streams.erase(std::remove_if(streams.begin(), streams.end(),
                               [](const auto& stream) { return stream->destroyed && stream->pending.empty(); }),
                streams.end());
}

void discard(Device& device) {
  for (auto& stream : device.streams) {
    for (auto& work : stream->pending) retire(*work);
    stream->pending.clear();
  }
}

/// The first item that can run of those that `work` waits for.
std::shared_ptr<Work> firstOf(std::shared_ptr<Work> work) {
  for (;;) {
    work = work->stream->pending.front();
    const auto open = std::find_if(work->after.begin(), work->after.end(), [](const auto& w) { return !w->done; });
    if (open == work->after.end()) return work;
    work = *open;
  }
}

cudaError_t act(Work& work, Stream& stream) noexcept {
  try {
    return work.action(stream);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "gradclip emulator: %s\n", failure.what());
    return cudaErrorLaunchFailure;
  }
}

/// Runs one item on the way to `target`; the execution lock is held.
void runOne(const std::shared_ptr<Work>& target) {
  World& all = world();
  std::unique_lock<std::mutex> state(all.state);
  if (target->done) return;
  const std::shared_ptr<Work> work = firstOf(target);
  Stream& stream = *work->stream;
  Device& device = *stream.device;
  if (all.running != &device) {
    all.running = &device;
    forgetWindows();
  }
  state.unlock();

  acquireAs(stream.context, work.get());
  for (const auto& before : work->after) acquireAs(stream.context, before.get());
  const cudaError_t result = act(*work, stream);
  releaseAs(stream.context, work.get());
  acquire(work.get());

  state.lock();
  stream.pending.pop_front();
  retire(*work);
  if (result != cudaSuccess) {
    device.fault = result;
    discard(device);
  }
  forgetDrained(device);
}

}  // namespace

cudaError_t enqueue(Stream& stream, Counted counted, Action action, std::vector<std::shared_ptr<Work>> after) {
  Device& device = *stream.device;
  if (device.fault != cudaSuccess) return device.fault;
  if (stream.capture != nullptr) return captureItem(stream, counted, std::move(action));
  if (stream.legacy && invalidateCaptures(device, true)) return cudaErrorStreamCaptureImplicit;
  for (const auto& other : device.streams) {
    const bool ordered = stream.legacy ? other->blocking : stream.blocking && other->legacy;
    if (ordered && other.get() != &stream && other->tail != nullptr) after.push_back(other->tail);
  }
  auto work = std::make_shared<Work>();
  work->action = std::move(action);
  work->after = std::move(after);
  work->stream = &stream;
  release(work.get());
  stream.pending.push_back(work);
  stream.tail = std::move(work);
  count(counted);
  return cudaSuccess;
}

void finish(const std::shared_ptr<Work>& work) {
  World& all = world();
  for (;;) {
    {
      std::lock_guard<std::mutex> state(all.state);
      if (work->done) break;
    }
    std::lock_guard<std::mutex> execution(all.execution);
    runOne(work);
  }
  acquire(work.get());
}

bool advance(const std::shared_ptr<Work>& work) {
  World& all = world();
  if (std::unique_lock<std::mutex> execution(all.execution, std::try_to_lock); execution.owns_lock()) runOne(work);
  std::lock_guard<std::mutex> state(all.state);
  if (work->done) acquire(work.get());
  return work->done;
}

void drain(Device& device) {
  std::vector<std::shared_ptr<Work>> tails;
  {
    std::lock_guard<std::mutex> state(world().state);
    for (const auto& stream : device.streams) {
      if (stream->tail != nullptr) tails.push_back(stream->tail);
    }
  }
  for (const auto& tail : tails) finish(tail);
}

}  // namespace gradclip::emulator
