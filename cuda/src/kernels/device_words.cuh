// SPDX-License-Identifier: Apache-2.0
// The CUDA words that kernels are written in, and the few of our own that the emulator has another side of.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "common/elements.hpp"

#if defined(GRADCLIP_EMULATED)

#include <gradclip_emulator.hpp>
#define GRADCLIP_UNROLL

namespace gradclip {
using emulator::loadGlobal;
using emulator::pollGlobal;
using emulator::sharedMemory;
using emulator::storeGlobal;
}  // namespace gradclip

#else

/// g++ would warn about the pragma where it compiles kernels for the emulator.
#define GRADCLIP_UNROLL _Pragma("unroll")

namespace gradclip {

/// Kernels read and write global memory through these two alone; the emulator checks range and alignment in them. Most
/// addresses come from a table, so the compiler must be told that they are global.
template <class T>
__device__ __forceinline__ T loadGlobal(const void* p) {
  __builtin_assume(__isGlobal(p));
  return *static_cast<const T*>(p);
}

template <class T>
__device__ __forceinline__ void storeGlobal(void* p, T value) {
  __builtin_assume(__isGlobal(p));
  *static_cast<T*>(p) = value;
}

/// A word that another block changes, as it is now.
__device__ __forceinline__ unsigned pollGlobal(const unsigned* p) {
  __builtin_assume(__isGlobal(p));
  return *static_cast<const volatile unsigned*>(p);
}

/// The block's dynamic shared memory, at a multiple of 16 bytes.
template <class T>
__device__ __forceinline__ T* sharedMemory() {
  extern __shared__ uint4 gradclipShared[];
  return reinterpret_cast<T*>(gradclipShared);
}

}  // namespace gradclip

#endif

namespace gradclip {

// Programmatic dependent launch, from compute capability 9.0 on; elsewhere, and in any other launch, these do nothing.
// Instructions, for CUDA 11.8 lacks the functions.

/// Waits until the kernel before has ended, and all it wrote is there. A kernel that is launched How::Behind begins so.
__device__ __forceinline__ void awaitKernelBefore() {
#if defined(GRADCLIP_EMULATED)
  emulator::awaitKernelBefore();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// The next kernel may be brought up once all blocks have come here. All of them run then, so it takes no place from
/// any.
__device__ __forceinline__ void bringUpKernelBehind() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

constexpr unsigned kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

__device__ __forceinline__ unsigned laneIndex() { return threadIdx.x % kWarp; }
__device__ __forceinline__ unsigned warpInBlock() { return threadIdx.x / kWarp; }
__device__ __forceinline__ unsigned warpsInBlock() { return blockDim.x / kWarp; }

/// Combines lanes l and l xor 16, 8, … 1; all lanes get the same bits.
template <class T, class Combine>
__device__ __forceinline__ T acrossLanes(T value, const Combine& combine) {
  for (int half = kWarp / 2; half > 0; half /= 2) value = combine(value, __shfl_xor_sync(kAllLanes, value, half));
  return value;
}

/// A struct of the device's tables, 16 bytes at once.
template <class T>
__device__ __forceinline__ T loadStruct(const T* p) {
  static_assert(alignof(T) % 16 == 0, "aligned as its parts");
  struct {
    uint4 at[sizeof(T) / 16];
  } parts;
  GRADCLIP_UNROLL
  for (std::size_t i = 0; i < sizeof(T) / 16; ++i)
    parts.at[i] = loadGlobal<uint4>(reinterpret_cast<const uint4*>(p) + i);
  return bitCast<T>(parts);
}

template <class T>
__device__ __forceinline__ void storeStruct(T* p, const T& value) {
  static_assert(alignof(T) % 16 == 0, "aligned as its parts");
  struct Parts {
    uint4 at[sizeof(T) / 16];
  };
  const Parts parts = bitCast<Parts>(value);
  GRADCLIP_UNROLL
  for (std::size_t i = 0; i < sizeof(T) / 16; ++i) storeGlobal(reinterpret_cast<uint4*>(p) + i, parts.at[i]);
}

/// Numbers the grid's warps through.
__device__ __forceinline__ unsigned warpIndex() { return blockIdx.x * warpsInBlock() + warpInBlock(); }
__device__ __forceinline__ unsigned warpCount() { return gridDim.x * warpsInBlock(); }

}  // namespace gradclip
