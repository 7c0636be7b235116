// SPDX-License-Identifier: Apache-2.0
// The device that the tests run on: the emulated one, or a real one, on which nothing is counted.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "gradclip/cuda.hpp"

#if defined(GRADCLIP_EMULATED)

#include <gradclip_emulator.hpp>

namespace emulator = gradclip::emulator;

/// What is counted, and work that has not begun by itself, are true of the emulated device alone.
constexpr bool kEmulated = true;

#else

constexpr bool kEmulated = false;

namespace emulator {

struct Counters {
  std::int64_t launches, earlyLaunches, allocations, copiesToDevice, copiesToHost, synchronisations, queries, accesses;
};
inline Counters counters() { return {}; }
inline void resetCounters() {}

}  // namespace emulator

#endif

/// Waits for everything, and reads.
inline std::vector<std::uint8_t> readDevice(std::int64_t address, std::size_t bytes) {
  std::vector<std::uint8_t> read(bytes);
#if defined(GRADCLIP_EMULATED)
  const void* const at = reinterpret_cast<const void*>(static_cast<std::uintptr_t>(address));
  if (bytes > 0) std::memcpy(read.data(), emulator::inspect(at, bytes), bytes);
#else
  cudaDeviceSynchronize();
  const auto status = gradclip::cudaCopyToHost(0, 0, read.data(), address, static_cast<std::int64_t>(bytes));
  if (!status.ok()) read.clear();
#endif
  return read;
}

/// Once everything is done, for what is in flight may still read.
inline void writeDevice(std::int64_t address, const std::vector<std::uint8_t>& bytes) {
#if defined(GRADCLIP_EMULATED)
  void* const at = reinterpret_cast<void*>(static_cast<std::uintptr_t>(address));
  if (!bytes.empty()) std::memcpy(emulator::inspect(at, bytes.size()), bytes.data(), bytes.size());
#else
  cudaDeviceSynchronize();
  (void)gradclip::cudaCopyToDevice(0, 0, address, bytes.data(), static_cast<std::int64_t>(bytes.size()));
#endif
}
