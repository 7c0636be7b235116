// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "sanitizers.hpp"

namespace gradclip::emulator {

struct Capture;
struct Device;
struct Stream;

/// What an item of a stream does when its turn comes; a result other than success is a fault. A graph's may run often.
using Action = std::function<cudaError_t(Stream&)>;

enum class Counted { Nothing, Launch, EarlyLaunch, CopyToDevice, CopyToHost };

/// An item of a stream: waits in it until somebody needs its result. Its address is the token for what comes before it
/// and for what it did.
struct Work {
  Action action;
  std::vector<std::shared_ptr<Work>> after;  ///< items of other streams that come before
  Stream* stream = nullptr;                  ///< while not done
  bool done = false;
};

struct Stream {
  Device* device = nullptr;
  bool blocking = true;  ///< ordered with the legacy stream
  bool legacy = false;
  bool destroyed = false;
  std::deque<std::shared_ptr<Work>> pending;
  std::shared_ptr<Work> tail;        ///< the last item enqueued, done or not
  std::shared_ptr<Capture> capture;  ///< what enqueued work goes to instead
  void* context = createContext();

  Stream() = default;
  ~Stream() { destroyContext(context); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};

/// Gives a stream (or what it is captured into) an item; the state lock is held.
cudaError_t enqueue(Stream& stream, Counted counted, Action action, std::vector<std::shared_ptr<Work>> after = {});

/// Runs what must run for `work` to be done; no lock is held. What it did comes before what the caller does next.
void finish(const std::shared_ptr<Work>& work);

/// Runs at most one item, and none where another thread is at it; whether `work` is done then.
bool advance(const std::shared_ptr<Work>& work);

/// Finishes all streams of a device; no lock is held.
void drain(Device& device);

}  // namespace gradclip::emulator
