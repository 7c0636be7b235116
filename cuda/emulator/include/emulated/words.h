// SPDX-License-Identifier: Apache-2.0
/// The words a kernel may use: qualifiers, indices, barriers, shuffles, votes and fences.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "vectors.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

// One kernel thread runs at a time in the whole process; the scheduler sets these at each switch.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
constexpr int warpSize = 32;

namespace gradclip::emulator::detail {

enum class Shuffle : unsigned { Index, Up, Down, Xor };

/// Gives `bits` and waits for the lanes of `mask`; returns the bits of the lane named.
std::uint64_t shuffle(Shuffle kind, unsigned mask, std::uint64_t bits, unsigned bytes, unsigned lane, int width);

/// Waits for the lanes of `mask`; returns those of them whose predicate holds.
unsigned ballot(unsigned mask, bool predicate);

template <class T>
T shuffleValue(Shuffle kind, unsigned mask, T value, unsigned lane, int width) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "CUDA shuffles 32 or 64 bits");
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(kind, mask, bits, sizeof(T), lane, width);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace gradclip::emulator::detail

void __syncthreads();
void __syncwarp(unsigned mask = 0xffffffffU);
void __threadfence();
void __threadfence_system();

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = warpSize) {
  using namespace gradclip::emulator::detail;
  return shuffleValue(Shuffle::Index, mask, value, static_cast<unsigned>(lane), width);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = warpSize) {
  using namespace gradclip::emulator::detail;
  return shuffleValue(Shuffle::Up, mask, value, distance, width);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = warpSize) {
  using namespace gradclip::emulator::detail;
  return shuffleValue(Shuffle::Down, mask, value, distance, width);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = warpSize) {
  using namespace gradclip::emulator::detail;
  return shuffleValue(Shuffle::Xor, mask, value, static_cast<unsigned>(lanes), width);
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return gradclip::emulator::detail::ballot(mask, predicate != 0);
}

/// The number of bits that are set.
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }

inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }
