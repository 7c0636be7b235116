// SPDX-License-Identifier: Apache-2.0
// Numbers that decide how fast the kernels that stream gradients are, and never what they compute: a set for each kind of
// device. Not yet timed on any; what they aim at is said beside them. A benchmark compiles others with -D.
#pragma once

namespace gradclip {

/// Of one kernel.
struct Streaming {
  int vectors;  ///< of 16 bytes that a lane loads of a whole tile before it uses the first: 16, 8 or 4
  int blocks;   ///< of 256 threads that a multiprocessor must hold, which limits their registers
};

struct Tuning {
  Streaming measure, scale, clamp;
  bool sideBySide;  ///< the grid's warps take tiles in turn; else each takes tiles that follow each other
};

/// 128 KiB in flight a multiprocessor, of the 32 to 64 that keep the memory of an H100, H200 or B200 busy: a warp has none in
/// flight while it adds up, or finds its next tile.
constexpr Tuning kHighBandwidth = {{16, 2}, {16, 2}, {16, 2}, true};

/// Devices whose multiprocessors have a third of that bandwidth each, or less: as much in flight does no harm.
constexpr Tuning kGraphicsMemory = kHighBandwidth;

#if defined(GRADCLIP_VECTORS) && defined(GRADCLIP_BLOCKS) && defined(GRADCLIP_SIDE_BY_SIDE)
constexpr Streaming kTried = {GRADCLIP_VECTORS, GRADCLIP_BLOCKS};
constexpr Tuning kTuning = {kTried, kTried, kTried, GRADCLIP_SIDE_BY_SIDE};
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ != 800 && (__CUDA_ARCH__ < 900 || __CUDA_ARCH__ >= 1200)
constexpr Tuning kTuning = kGraphicsMemory;
#else
constexpr Tuning kTuning = kHighBandwidth;
#endif

}  // namespace gradclip
