// SPDX-License-Identifier: Apache-2.0
// The tables that each SIMD level defines.
#pragma once

#include "gradclip/cpu.hpp"

#define GRADCLIP_DECLARE_LEVEL(level)          \
  namespace level {                            \
  extern const MeasureKernels measureKernels;  \
  extern const ScaleKernels scaleKernels;      \
  extern const ClampKernels clampKernels;      \
  extern const UpdateKernels updateKernels;    \
  }

namespace gradclip {
#if defined(__x86_64__)
GRADCLIP_DECLARE_LEVEL(v2)
GRADCLIP_DECLARE_LEVEL(v3)
GRADCLIP_DECLARE_LEVEL(v4)
#else
GRADCLIP_DECLARE_LEVEL(neon)
#endif
}  // namespace gradclip
