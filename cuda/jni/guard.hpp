// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace gradclip {

/// Floating-point control of the calling thread.
#if defined(__x86_64__)
using FloatControl = unsigned;
constexpr FloatControl kDefaultControl = 0x1f80;  // nearest even, subnormals kept, exceptions masked
inline FloatControl floatControl() { return _mm_getcsr(); }
inline void setFloatControl(FloatControl control) { _mm_setcsr(control); }
#elif defined(__aarch64__)
using FloatControl = std::uint64_t;
constexpr FloatControl kDefaultControl = 0;
inline FloatControl floatControl() {
  FloatControl control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  return control;
}
inline void setFloatControl(FloatControl control) { __asm__ volatile("msr fpcr, %0" : : "r"(control)); }
#endif

/// Other libraries leave flush-to-zero switched on: default arithmetic while the guard lives, then what was found.
class FloatGuard {
 public:
  FloatGuard() : found_(floatControl()) { setFloatControl(kDefaultControl); }
  ~FloatGuard() { setFloatControl(found_); }
  FloatGuard(const FloatGuard&) = delete;
  FloatGuard& operator=(const FloatGuard&) = delete;

 private:
  FloatControl found_;
};

}  // namespace gradclip
