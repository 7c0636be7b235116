// SPDX-License-Identifier: Apache-2.0
// Numbers that decide how fast the kernels that stream gradients are, never what they compute: a set for architectures
// from one on. Timed on no device yet; what they aim at is said beside them. A benchmark compiles others with -D.
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

/// 128 KiB in flight a multiprocessor, where 32 to 64 keep the memory of an H100, H200 or B200 busy: a warp has none in
/// flight while it adds up, or finds its next tile. Devices with graphics memory need a third of that, or less.
constexpr Tuning kSm80 = {{16, 2}, {16, 2}, {16, 2}, true};

/// With 16 vectors clamp spills there, for want of comparisons of bfloat16.
constexpr Tuning kSm75 = {{16, 2}, {16, 2}, {8, 2}, true};

#if defined(GRADCLIP_VECTORS) && defined(GRADCLIP_BLOCKS) && defined(GRADCLIP_SIDE_BY_SIDE)
constexpr Tuning kTuning = {{GRADCLIP_VECTORS, GRADCLIP_BLOCKS}, {GRADCLIP_VECTORS, GRADCLIP_BLOCKS},
                            {GRADCLIP_VECTORS, GRADCLIP_BLOCKS}, GRADCLIP_SIDE_BY_SIDE};
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr Tuning kTuning = kSm75;
#else
constexpr Tuning kTuning = kSm80;
#endif

/// Blocks of the kernel that does all, as Streaming's. Two of 64 KiB fit in the shared memory of 8.0, 9.0 and 10.x
/// alone; elsewhere the limit on registers would be for nothing, and some spill.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ != 800 && (__CUDA_ARCH__ < 900 || __CUDA_ARCH__ >= 1200)
constexpr int kOneLaunchBlocks = 1;
#else
constexpr int kOneLaunchBlocks = 2;
#endif

/// Blocks of the kernel that measures and scales in one pass, which have half as many threads and 32 KiB of shared
/// memory each: 128 KiB in flight. Two are all that 7.5 has room for; a limit for four would make it spill.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr int kOnePassBlocks = 2;
#else
constexpr int kOnePassBlocks = 4;
#endif

}  // namespace gradclip
