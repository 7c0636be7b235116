// SPDX-License-Identifier: Apache-2.0
/// What the emulator offers beyond CUDA's own functions: launches, checked accesses, counters and settings.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "emulated/memory.h"

namespace gradclip::emulator {

/// What this thread's calls amounted to since its resetCounters(): others free memory when a collector says so. Work
/// replayed by a graph counts at each replay.
struct Counters {
  std::int64_t launches;          ///< kernels enqueued
  std::int64_t earlyLaunches;     ///< of these, those How::Behind
  std::int64_t allocations;       ///< of device or pinned memory
  std::int64_t copiesToDevice;    ///< from host memory, pinned or not
  std::int64_t copiesToHost;
  std::int64_t synchronisations;  ///< calls that made the host wait; cudaMemcpy and frees among them
  std::int64_t queries;           ///< of a stream or an event, which never wait
  std::int64_t accesses;          ///< of global memory by kernels' threads, whichever thread enqueued them
};

Counters counters() noexcept;
void resetCounters() noexcept;

/// Order of warps, lanes and blocks from now on; 0: ascending. GRADCLIP_EMULATOR_SEED sets the first.
void seed(std::uint64_t order) noexcept;

/// Makes a faulted device usable again, as a new process would, and forgets this thread's last error. Allocations,
/// streams and counters stay; work that the fault stopped is gone.
void reset() noexcept;

/// Changes how much memory each device has; GRADCLIP_EMULATOR_MEMORY (bytes, or with K, M or G) sets it first.
void deviceMemory(std::size_t bytes) noexcept;

// Contexts, by the driver's functions cuCtxGetCurrent, cuCtxSetCurrent, cuDevicePrimaryCtxRetain, cuCtxGetDevice,
// cuCtxCreate.
void* context() noexcept;
void setContext(void* context) noexcept;
void* primaryContext(int device) noexcept;
int deviceOfContext(void* context) noexcept;
void* createContext(int device) noexcept;

/// Contexts that a device has.
int contexts(int device) noexcept;

/// As if the process had begun anew: no device has a context, and this thread none.
void forgetContexts() noexcept;

/// The allocation that holds `address`, as cuMemGetAddressRange gives it.
cudaError_t memoryRange(const void* address, void** base, std::size_t* size) noexcept;

/// Device memory of `bytes` in which the same `period` bytes repeat, so that it may exceed this machine's memory.
cudaError_t allocateRepeated(void** pointer, std::size_t bytes, std::size_t period) noexcept;

/// Adjacent allocations of `segmentBytes` each (a multiple of 4096), as a framework's expandable segments lie.
cudaError_t allocateSegments(void** pointer, std::size_t segmentBytes, unsigned segments) noexcept;

/// Host access to device memory for tests: the bytes behind a device address, or null.
void* inspect(const void* address, std::size_t bytes) noexcept;

/// What memory holds before its first write, in each 8 bytes: a NaN in every type of gradient, no plausible integer.
constexpr std::uint64_t kPoison = 0xfffafffafffafffaU;

/// How a kernel is launched.
enum class How {
  Alone,   ///< as by cudaLaunchKernel
  Behind,  ///< as with programmatic stream serialization: an access to global memory before awaitKernelBefore() is a
           ///< fault. What it would be on a GPU, a race, shows too seldom
  Together  ///< as by cudaLaunchCooperativeKernel: all blocks at once, so that one may wait for another
};

namespace detail {

struct Kernel {
  void (*invoke)(void (*kernel)(), const void* params);
  void (*kernel)();
  unsigned grid, block;
  std::size_t sharedBytes;
  How how;
};

/// What runs instead of a kernel that is launched with parameters of so many bytes; null where kernels run as g++
/// compiled them.
extern Kernel (*substitute)(const Kernel& kernel, std::size_t bytes);

cudaError_t enqueue(const Kernel& kernel, cudaStream_t stream, const void* params, std::size_t bytes) noexcept;

template <class P>
void invoke(void (*kernel)(), const void* params) {
  reinterpret_cast<void (*)(P)>(kernel)(*static_cast<const P*>(params));
}

}  // namespace detail

template <class P>
cudaError_t enqueue(void (*kernel)(P), unsigned grid, unsigned block, std::size_t sharedBytes, cudaStream_t stream,
                    const P& params, How how = How::Alone) noexcept {
  static_assert(std::is_trivially_copyable_v<P>, "a GPU gets parameters as bytes");
  static_assert(sizeof(P) <= 4096, "more parameters than every CUDA takes");
  return detail::enqueue({detail::invoke<P>, reinterpret_cast<void (*)()>(kernel), grid, block, sharedBytes, how},
                         stream, &params, sizeof(P));
}

}  // namespace gradclip::emulator

extern "C" {
/// launches, allocations, copies to the device, copies to the host, synchronisations
void gradclip_emulator_counters(std::int64_t* five);
void gradclip_emulator_reset_counters();
}
