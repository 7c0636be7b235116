// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <memory>

#include "work.hpp"

namespace gradclip::emulator {

struct Event {
  Device* device = nullptr;
  std::shared_ptr<Work> work;        ///< what it marks; null before the first record
  std::shared_ptr<Capture> capture;  ///< or the capture it was recorded in
  const Stream* captured = nullptr;  ///< and the stream
  std::size_t position = 0;          ///< and how many items the stream had given it
};

/// The state lock is held.
std::shared_ptr<Event> findEvent(cudaEvent_t handle);

}  // namespace gradclip::emulator
