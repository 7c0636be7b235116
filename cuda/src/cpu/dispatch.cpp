// SPDX-License-Identifier: Apache-2.0
#include "cpu/level_kernels.hpp"

#define GRADCLIP_LEVEL_TABLE(level) \
  CpuKernels { #level, &level::measureKernels, &level::scaleKernels, &level::clampKernels, &level::updateKernels }

namespace gradclip {
namespace {

#if defined(__x86_64__)

const CpuKernels kLevels[] = {GRADCLIP_LEVEL_TABLE(v2), GRADCLIP_LEVEL_TABLE(v3), GRADCLIP_LEVEL_TABLE(v4)};

/// The compiler's run-time library reports a vector feature only if the operating system saves its registers.
int detectLevels() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("sse4.1") || !__builtin_cpu_supports("sse4.2")) return 0;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c") ||
      !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2")) {
    return 1;
  }
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return 2;
  }
  return 3;
}

#else

const CpuKernels kLevels[] = {GRADCLIP_LEVEL_TABLE(neon)};

/// Advanced SIMD is part of every aarch64 processor that runs Linux.
int detectLevels() { return 1; }

#endif

}  // namespace

int usableLevels() { return detectLevels(); }

const CpuKernels& levelKernels(int level) { return kLevels[level]; }

}  // namespace gradclip
