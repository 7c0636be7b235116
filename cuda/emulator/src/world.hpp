// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <mutex>
#include <vector>

#include "address_space.hpp"
#include "allocations.hpp"
#include "work.hpp"

namespace gradclip::emulator {

struct Device {
  Device(int number, std::size_t addressBytes);

  const int ordinal;
  cudaError_t fault = cudaSuccess;  ///< sticky
  std::size_t used = 0;
  AddressSpace addresses;
  std::vector<std::shared_ptr<Stream>> streams;  ///< the legacy stream first; destroyed ones until they are drained
};

/// Everything there is. `state` is held for moments only and guards the fields; `execution` by whoever runs an item of
/// a stream, and for changes of allocations. Where both are held, `execution` is locked first.
struct World {
  World();

  std::mutex execution;
  std::mutex state;
  std::vector<std::unique_ptr<Device>> devices;
  AddressSpace hostAddresses;
  Allocations allocations;
  std::size_t memory;         ///< of each device
  Device* running = nullptr;  ///< whose work runs
};

World& world();

/// The calling thread's device, 0 until it selects another.
Device& currentDevice();
void selectDevice(int ordinal);

/// The stream of a handle, also of those handles that are no pointers; null: there is no such stream.
/// The state lock is held.
std::shared_ptr<Stream> findStream(cudaStream_t handle);

}  // namespace gradclip::emulator
