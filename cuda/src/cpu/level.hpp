// SPDX-License-Identifier: Apache-2.0
// Points Highway at the one SIMD level a source is compiled for. The level comes from a target pragma around the
// kernels, never from compiler flags: with flags, an inline function of a shared header compiled for AVX-512 could be
// the copy that the linker keeps for every level.
#pragma once

#if !defined(GRADCLIP_LEVEL) || !defined(GRADCLIP_TARGET)
#error "GRADCLIP_LEVEL (v2, v3, v4, neon) and GRADCLIP_TARGET (a Highway target) are set by cuda/CMakeLists.txt"
#endif

#if defined(__x86_64__)
// AES and carry-less multiplication are no part of x86-64-v2.
#define HWY_DISABLE_PCLMUL_AES
#else
// Without it Highway asks aarch64 compilers for "+crypto", which not every processor has.
#define TOOLCHAIN_MISS_SYS_AUXV_H
#endif

#include "hwy/detect_targets.h"
#undef HWY_TARGET
#define HWY_TARGET GRADCLIP_TARGET
#include "hwy/highway.h"

// Every function template of a level lives in the level's own namespace, so that no two levels share a symbol.
#define GRADCLIP_BEGIN_LEVEL \
  HWY_BEFORE_NAMESPACE();    \
  namespace gradclip {       \
  namespace GRADCLIP_LEVEL { \
  namespace hn = hwy::HWY_NAMESPACE;

#define GRADCLIP_END_LEVEL \
  }                        \
  }                        \
  HWY_AFTER_NAMESPACE()
