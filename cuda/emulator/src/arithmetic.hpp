// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace gradclip::emulator {

/// A GPU rounds to nearest and keeps subnormals, whatever the calling thread's mode is; while this lives, so does the
/// thread.
class GpuArithmetic {
 public:
  GpuArithmetic() : saved_(mode()) { setMode(kDefault); }
  ~GpuArithmetic() { setMode(saved_); }
  GpuArithmetic(const GpuArithmetic&) = delete;
  GpuArithmetic& operator=(const GpuArithmetic&) = delete;

 private:
#if defined(__x86_64__)
  using Mode = unsigned;
  static constexpr Mode kDefault = 0x1f80;  // all exceptions masked
  static Mode mode() { return __builtin_ia32_stmxcsr(); }
  static void setMode(Mode mode) { __builtin_ia32_ldmxcsr(mode); }
#elif defined(__aarch64__)
  using Mode = std::uint64_t;
  static constexpr Mode kDefault = 0;
  static Mode mode() {
    Mode mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void setMode(Mode mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#endif

  const Mode saved_;
};

}  // namespace gradclip::emulator
