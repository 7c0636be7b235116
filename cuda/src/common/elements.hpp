// SPDX-License-Identifier: Apache-2.0
// Element functions shared by every backend: plain C++ on integers and IEEE arithmetic, no intrinsics, so that the
// same lines compile for a GPU.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define GRADCLIP_HD __host__ __device__
#define GRADCLIP_NOINLINE __noinline__
#else
#define GRADCLIP_HD
#define GRADCLIP_NOINLINE
#endif

namespace gradclip {

struct Float16 {
  std::uint16_t bits;
};

struct BFloat16 {
  std::uint16_t bits;
};

template <class To, class From>
GRADCLIP_HD inline To bitCast(From from) {
  static_assert(sizeof(To) == sizeof(From), "bitCast");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

GRADCLIP_HD inline float halfToFloat(std::uint16_t half) {
#if defined(__CUDA_ARCH__)
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
#else
  const std::uint32_t magnitude = half & 0x7fffu;
  const std::uint32_t sign = (half & 0x8000u) << 16;
  if (magnitude >= 0x7c00u) return bitCast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  // Times 2^112 moves the exponent's bias from 15 to 127, exactly, subnormals included.
  const float value = bitCast<float>(magnitude << 13) * 0x1p112f;
  return bitCast<float>(bitCast<std::uint32_t>(value) | sign);
#endif
}

/// Nearest even; every NaN becomes the canonical one.
GRADCLIP_HD inline std::uint16_t floatToHalf(float value) {
#if defined(__CUDA_ARCH__)
  std::uint16_t half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
#else
  const std::uint32_t bits = bitCast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  if (magnitude > 0x7f800000u) return 0x7fffu;
  if (magnitude >= 0x47800000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // 65536 and above
  if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 leaves the rounded subnormal in the low bits
    const float shifted = bitCast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (bitCast<std::uint32_t>(shifted) - 0x3f000000u));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
#endif
}

GRADCLIP_HD inline float bfloat16ToFloat(std::uint16_t bfloat) {
  return bitCast<float>(static_cast<std::uint32_t>(bfloat) << 16);
}

/// Nearest even; every NaN becomes the canonical one.
GRADCLIP_HD inline std::uint16_t floatToBfloat16(float value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint16_t bfloat;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bfloat) : "f"(value));
  return bfloat;
#else
  const std::uint32_t bits = bitCast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffu;
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
#endif
}

/// How a stored type T is added up and written back: Bits holds its bits, A is its accumulator.
template <class T>
struct Element;

template <>
struct Element<double> {
  using Bits = std::uint64_t;
  using A = double;
  static constexpr Bits kInfinity = 0x7ff0000000000000u;
  static constexpr Bits kNaN = 0x7ff8000000000000u;
  static constexpr Bits kSign = 0x8000000000000000u;
  GRADCLIP_HD static A decode(Bits bits) { return bitCast<double>(bits); }
  GRADCLIP_HD static Bits encode(A value) { return value == value ? bitCast<Bits>(value) : kNaN; }
};

/// The canonical one.
GRADCLIP_HD inline double notANumber() { return bitCast<double>(Element<double>::Bits{Element<double>::kNaN}); }

template <>
struct Element<float> {
  using Bits = std::uint32_t;
  using A = float;
  static constexpr Bits kInfinity = 0x7f800000u;
  static constexpr Bits kNaN = 0x7fffffffu;
  static constexpr Bits kSign = 0x80000000u;
  GRADCLIP_HD static A decode(Bits bits) { return bitCast<float>(bits); }
  GRADCLIP_HD static Bits encode(A value) { return value == value ? bitCast<Bits>(value) : kNaN; }
};

template <>
struct Element<Float16> {
  using Bits = std::uint16_t;
  using A = float;
  static constexpr Bits kInfinity = 0x7c00u;
  static constexpr Bits kNaN = 0x7fffu;
  static constexpr Bits kSign = 0x8000u;
  GRADCLIP_HD static A decode(Bits bits) { return halfToFloat(bits); }
  GRADCLIP_HD static Bits encode(A value) { return floatToHalf(value); }
};

template <>
struct Element<BFloat16> {
  using Bits = std::uint16_t;
  using A = float;
  static constexpr Bits kInfinity = 0x7f80u;
  static constexpr Bits kNaN = 0x7fffu;
  static constexpr Bits kSign = 0x8000u;
  GRADCLIP_HD static A decode(Bits bits) { return bfloat16ToFloat(bits); }
  GRADCLIP_HD static Bits encode(A value) { return floatToBfloat16(value); }
};

/// The bits of element i of an array of any alignment.
template <class T>
GRADCLIP_HD inline typename Element<T>::Bits loadBits(const void* x, std::int64_t i) {
  typename Element<T>::Bits bits;
  memcpy(&bits, static_cast<const unsigned char*>(x) + i * static_cast<std::int64_t>(sizeof bits), sizeof bits);
  return bits;
}

template <class T>
GRADCLIP_HD inline void storeBits(void* x, std::int64_t i, typename Element<T>::Bits bits) {
  memcpy(static_cast<unsigned char*>(x) + i * static_cast<std::int64_t>(sizeof bits), &bits, sizeof bits);
}

template <class T>
GRADCLIP_HD inline typename Element<T>::Bits absoluteBits(typename Element<T>::Bits bits) {
  return static_cast<typename Element<T>::Bits>(bits & ~Element<T>::kSign);
}

/// Whether a coefficient multiplies in double where A is float: one below 2^-100, for a float product would flush tiny
/// thresholds to 0, or one that is infinite as a float, which would make NaN of 0.
GRADCLIP_HD inline bool needsDouble(double coefficient) {
  const double magnitude = coefficient < 0.0 ? -coefficient : coefficient;
  return magnitude < 0x1p-100 || magnitude >= 0x1.ffffffp127;
}

template <class T>
GRADCLIP_HD inline typename Element<T>::Bits scaled(typename Element<T>::Bits bits, double coefficient) {
  using A = typename Element<T>::A;
  const A x = Element<T>::decode(bits);
  if (needsDouble(coefficient)) return Element<T>::encode(static_cast<A>(static_cast<double>(x) * coefficient));
  return Element<T>::encode(x * static_cast<A>(coefficient));
}

/// A clamp's limit in A: a finite one beyond the largest number of the type is that number.
template <class T>
GRADCLIP_HD inline typename Element<T>::A limitIn(double limit) {
  using A = typename Element<T>::A;
  constexpr double kLargestDouble = 0x1.fffffffffffffp1023;
  const A largest = Element<T>::decode(Element<T>::kInfinity - 1);
  if (limit > static_cast<double>(largest) && limit <= kLargestDouble) return largest;
  if (limit < -static_cast<double>(largest) && limit >= -kLargestDouble) return -largest;
  return static_cast<A>(limit);
}

/// Compares in A; a NaN and an element within the limits keep their bits.
template <class T>
GRADCLIP_HD inline typename Element<T>::Bits clamped(typename Element<T>::Bits bits, typename Element<T>::A min,
                                                     typename Element<T>::A max) {
  const typename Element<T>::A x = Element<T>::decode(bits);
  if (x > max) return Element<T>::encode(max);
  if (x < min) return Element<T>::encode(min);
  return bits;
}

}  // namespace gradclip
