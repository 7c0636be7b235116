// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <thread>
#include <vector>

#include "work.hpp"

namespace gradclip::emulator {

struct Event;

struct Item {
  Counted counted;
  Action action;
};

/// What streams are given while they are captured, in the order given, which respects every dependency.
struct Capture {
  struct Branch {
    std::size_t items = 0;   ///< that the stream has given
    std::size_t joined = 0;  ///< of these, how many the others have waited for
  };

  Stream* origin = nullptr;
  std::map<Stream*, Branch> branches;
  std::vector<Item> items;
  bool valid = true;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;  ///< that began it
};

// For all of these the state lock is held.
cudaError_t captureItem(Stream& stream, Counted counted, Action action);
cudaError_t recordCaptured(Stream& stream, Event& event);
cudaError_t waitCaptured(Stream& stream, Event& event);
void invalidate(Capture& capture);

/// Of a call that a capture may forbid: those of mode Global to every thread, others to their own, but for threads in
/// relaxed mode. The captures that forbid it become invalid.
cudaError_t unsafeCall();

/// Invalidates a device's captures, all or (what its legacy stream would have to wait for) those of blocking streams;
/// whether there were any.
bool invalidateCaptures(Device& device, bool blockingOnly);

}  // namespace gradclip::emulator
