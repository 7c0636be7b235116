// SPDX-License-Identifier: Apache-2.0
/// What the instructions of PTX mean, for the C++ that translate.py writes. Registers hold bits; as<T> reads them as a
/// type, put writes a result. NaNs are NVIDIA's: 0x7fffffff of float arithmetic, and of double arithmetic one that no
/// kernel may let out.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>

#include "cost.hpp"
#include "gradclip_emulator.hpp"

namespace gradclip::ptx {

// ---- registers -----------------------------------------------------------------------------------------------------

template <class T, class Register>
inline T as(Register bits) {
  if constexpr (std::is_floating_point_v<T>) {
    static_assert(sizeof(T) == sizeof(Register), "floats fill their registers");
    T value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  } else {
    return static_cast<T>(bits);
  }
}

template <class Register, class T>
inline void put(Register& to, T value) {
  if constexpr (std::is_floating_point_v<T>) {
    static_assert(sizeof(T) == sizeof(Register), "floats fill their registers");
    std::memcpy(&to, &value, sizeof value);
  } else {
    to = static_cast<Register>(value);
  }
}

inline float bitsToFloat(std::uint32_t bits) { return as<float>(bits); }
inline std::uint32_t floatToBits(float value) {
  std::uint32_t bits;
  put(bits, value);
  return bits;
}

template <class T>
T withNaN(T value) {
  if (value == value) return value;
  if constexpr (sizeof(T) == 4) {
    return bitsToFloat(0x7fffffffu);
  } else {
    return as<T>(std::uint64_t{0x7fffffffffffffffu});
  }
}

// ---- memory --------------------------------------------------------------------------------------------------------

inline std::uint64_t address_of(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }
inline void* pointer(std::uint64_t address) { return reinterpret_cast<void*>(static_cast<std::uintptr_t>(address)); }
inline std::uint64_t shared_base() { return address_of(emulator::detail::sharedMemory(16)); }

/// Whether a generic address lies in global memory; else it is a thread's own, or shared.
bool isGlobal(std::uint64_t address);

/// What one access moves.
template <int N>
struct Bytes {
  alignas(N) unsigned char byte[N];

  template <class T>
  T at(int offset) const {
    T value;
    std::memcpy(&value, byte + offset, sizeof value);
    return value;
  }
  template <class T>
  void set(int offset, T value) {
    std::memcpy(byte + offset, &value, sizeof value);
  }
};

template <int N>
Bytes<N> load_local(std::uint64_t address) {
  if (address % N != 0) std::abort();
  Bytes<N> bytes;
  std::memcpy(bytes.byte, pointer(address), N);
  return bytes;
}

template <int N>
void store_local(std::uint64_t address, const Bytes<N>& bytes) {
  if (address % N != 0) std::abort();
  std::memcpy(pointer(address), bytes.byte, N);
}

template <int N>
Bytes<N> load_param(std::uint64_t address) {
  Bytes<N> bytes;
  std::memcpy(bytes.byte, pointer(address), N);
  return bytes;
}

template <int N>
void store_param(std::uint64_t address, const Bytes<N>& bytes) {
  std::memcpy(pointer(address), bytes.byte, N);
}

template <int N>
Bytes<N> load_shared(std::uint64_t offset) { return load_local<N>(shared_base() + offset); }
template <int N>
void store_shared(std::uint64_t offset, const Bytes<N>& bytes) { store_local(shared_base() + offset, bytes); }

/// An integer of N bytes, for the emulator tells some accesses apart by size, or 16 bytes.
template <int N>
using Whole = std::conditional_t<N == 1, std::uint8_t,
              std::conditional_t<N == 2, std::uint16_t,
              std::conditional_t<N == 4, std::uint32_t, std::conditional_t<N == 8, std::uint64_t, Bytes<16>>>>>;

template <int N>
Bytes<N> load_global(std::uint64_t address) {
  const auto whole = emulator::loadGlobal<Whole<N>>(pointer(address));
  Bytes<N> bytes;
  std::memcpy(bytes.byte, &whole, N);
  return bytes;
}

inline Bytes<4> poll_global(std::uint64_t address) {
  Bytes<4> bytes;
  bytes.set(0, emulator::pollGlobal(static_cast<const unsigned*>(pointer(address))));
  return bytes;
}

template <int N>
void store_global(std::uint64_t address, const Bytes<N>& bytes) {
  Whole<N> whole;
  std::memcpy(&whole, bytes.byte, N);
  emulator::storeGlobal(pointer(address), whole);
}

template <int N>
Bytes<N> load_generic(std::uint64_t address) {
  return isGlobal(address) ? load_global<N>(address) : load_local<N>(address);
}

template <int N>
void store_generic(std::uint64_t address, const Bytes<N>& bytes) {
  isGlobal(address) ? store_global(address, bytes) : store_local(address, bytes);
}

// ---- integers ------------------------------------------------------------------------------------------------------

/// Wraps around, signed or not.
template <class T>
using Unsigned = std::make_unsigned_t<T>;

template <class T>
T wrapped(std::uint64_t value) { return static_cast<T>(static_cast<Unsigned<T>>(value)); }

template <class T>
T add(T a, T b) { return wrapped<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b)); }
template <class T>
T sub(T a, T b) { return wrapped<T>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b)); }
template <class T>
T mul_lo(T a, T b) { return wrapped<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b)); }
template <class T>
T mad_lo(T a, T b, T c) { return add(mul_lo(a, b), c); }

template <class T>
using Twice = std::conditional_t<sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>,
              std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>>;

template <class T>
Twice<T> mul_wide(T a, T b) { return static_cast<Twice<T>>(a) * static_cast<Twice<T>>(b); }

template <class T>
T mul_hi(T a, T b) {
  using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
  return static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(b) >> 8 * sizeof(T));
}

template <class T>
T div(T a, T b) { return static_cast<T>(a / b); }
template <class T>
T rem(T a, T b) { return static_cast<T>(a % b); }
template <class T>
T least_min(T a, T b) { return a < b ? a : b; }
template <class T>
T least_max(T a, T b) { return a > b ? a : b; }
template <class T>
T neg(T a) { return sub(T{0}, a); }
template <class T>
T abs(T a) { return a < 0 ? neg(a) : a; }
template <class T>
T bit_and(T a, T b) { return static_cast<T>(a & b); }
template <class T>
T bit_or(T a, T b) { return static_cast<T>(a | b); }
template <class T>
T bit_xor(T a, T b) { return static_cast<T>(a ^ b); }
template <class T>
T bit_not(T a) {
  if constexpr (std::is_same_v<T, bool>) return !a;
  return static_cast<T>(~a);
}

/// Shifts beyond the width give 0, or the sign.
template <class T>
T shl(T a, std::uint32_t by) { return by >= 8 * sizeof(T) ? T{0} : wrapped<T>(static_cast<std::uint64_t>(a) << by); }

template <class T>
T shr(T a, std::uint32_t by) {
  if (by >= 8 * sizeof(T)) return std::is_signed_v<T> && a < T{0} ? static_cast<T>(-1) : T{0};
  return static_cast<T>(a >> by);
}

inline std::uint64_t pair(std::uint32_t low, std::uint32_t high) { return std::uint64_t{high} << 32 | low; }
inline std::uint32_t funnel(std::uint32_t low, std::uint32_t high, std::uint32_t by, bool left) {
  if (by == 0) return left ? high : low;
  if (by == 32) return left ? low : high;
  return static_cast<std::uint32_t>(left ? pair(low, high) << by >> 32 : pair(low, high) >> by);
}
inline std::uint32_t shf_l_wrap(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  return funnel(a, b, c & 31, true);
}
inline std::uint32_t shf_r_wrap(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  return funnel(a, b, c & 31, false);
}
inline std::uint32_t shf_l_clamp(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  return funnel(a, b, c < 32 ? c : 32, true);
}
inline std::uint32_t shf_r_clamp(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  return funnel(a, b, c < 32 ? c : 32, false);
}

template <class T>
T bfi(T field, T into, std::uint32_t position, std::uint32_t length) {
  position &= 255;
  length &= 255;
  for (std::uint32_t i = 0; i < length && position + i < 8 * sizeof(T); ++i) {
    const T bit = T{1} << (position + i);
    into = (field >> i & 1) != 0 ? into | bit : into & ~bit;
  }
  return into;
}

template <class T>
T bfe(T from, std::uint32_t position, std::uint32_t length) {
  position &= 255;
  length &= 255;
  const auto bits = static_cast<Unsigned<T>>(from);
  constexpr std::uint32_t kLast = 8 * sizeof(T) - 1;
  const std::uint32_t end = position + length - 1;
  const Unsigned<T> sign = std::is_signed_v<T> && length != 0 ? bits >> (end < kLast ? end : kLast) & 1 : 0;
  Unsigned<T> field = 0;
  for (std::uint32_t i = 0; i <= kLast; ++i) {
    field |= (i < length && position + i <= kLast ? bits >> (position + i) & 1 : sign) << i;
  }
  return static_cast<T>(field);
}

template <class T>
T brev(T a) {
  T reversed = 0;
  for (unsigned i = 0; i < 8 * sizeof(T); ++i) reversed |= (a >> i & 1) << (8 * sizeof(T) - 1 - i);
  return reversed;
}

template <class T>
std::uint32_t clz(T a) {
  std::uint32_t zeros = 0;
  for (T bit = T{1} << (8 * sizeof(T) - 1); bit != 0 && (a & bit) == 0; bit >>= 1) ++zeros;
  return zeros;
}

template <class T>
std::uint32_t popc(T a) {
  std::uint32_t ones = 0;
  for (; a != 0; a &= a - 1) ++ones;
  return ones;
}

/// How far the highest set bit is from the top.
inline std::uint32_t bfind_shiftamt(std::uint32_t a) { return a == 0 ? 0xffffffffu : clz(a); }

/// Picks four of eight bytes, or their signs.
inline std::uint32_t prmt(std::uint32_t a, std::uint32_t b, std::uint32_t selectors) {
  std::uint32_t picked = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const std::uint32_t selector = selectors >> 4 * i & 15;
    std::uint32_t byte = static_cast<std::uint32_t>(pair(a, b) >> 8 * (selector & 7) & 255);
    if ((selector & 8) != 0) byte = (byte & 128) != 0 ? 255 : 0;
    picked |= byte << 8 * i;
  }
  return picked;
}

/// Any function of three bits: the table's bit number abc.
inline std::uint32_t lop3(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t table) {
  std::uint32_t result = 0;
  for (unsigned i = 0; i < 32; ++i) {
    const unsigned row = (a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1);
    result |= (table >> row & 1) << i;
  }
  return result;
}

template <class T>
T selp(T a, T b, bool first) { return first ? a : b; }

// ---- comparisons ---------------------------------------------------------------------------------------------------

template <class T>
bool unordered(T a, T b) { return a != a || b != b; }
template <class T>
bool compare_eq(T a, T b) { return a == b; }
template <class T>
bool compare_ne(T a, T b) { return a != b && !unordered(a, b); }
template <class T>
bool compare_lt(T a, T b) { return a < b; }
template <class T>
bool compare_le(T a, T b) { return a <= b; }
template <class T>
bool compare_gt(T a, T b) { return a > b; }
template <class T>
bool compare_ge(T a, T b) { return a >= b; }
template <class T>
bool compare_lo(T a, T b) { return a < b; }
template <class T>
bool compare_ls(T a, T b) { return a <= b; }
template <class T>
bool compare_hi(T a, T b) { return a > b; }
template <class T>
bool compare_hs(T a, T b) { return a >= b; }
template <class T>
bool compare_equ(T a, T b) { return !(a < b) && !(a > b); }
template <class T>
bool compare_neu(T a, T b) { return a != b; }
template <class T>
bool compare_ltu(T a, T b) { return !(a >= b); }
template <class T>
bool compare_leu(T a, T b) { return !(a > b); }
template <class T>
bool compare_gtu(T a, T b) { return !(a <= b); }
template <class T>
bool compare_geu(T a, T b) { return !(a < b); }
template <class T>
bool compare_num(T a, T b) { return !unordered(a, b); }
template <class T>
bool compare_nan(T a, T b) { return unordered(a, b); }

// ---- floating point ------------------------------------------------------------------------------------------------

template <class T>
T add_rn(T a, T b) { return withNaN(a + b); }
template <class T>
T sub_rn(T a, T b) { return withNaN(a - b); }
template <class T>
T mul_rn(T a, T b) { return withNaN(a * b); }
template <class T>
T div_rn(T a, T b) { return withNaN(a / b); }
template <class T>
T fma_rn(T a, T b, T c) { return withNaN(std::fma(a, b, c)); }
template <class T>
T sqrt_rn(T a) { return withNaN(std::sqrt(a)); }
template <class T>
T rcp_rn(T a) { return withNaN(T{1} / a); }

/// A start for Newton's steps, of which PTX promises 20 bits.
inline double rcp_approx_ftz(double a) {
  std::uint64_t bits;
  put(bits, 1.0 / a);
  return as<double>(bits & 0xffffffff00000000u);
}

template <class T>
T neg_float(T a) { return -a; }
template <class T>
T abs_float(T a) { return std::fabs(a); }

/// The number where one is NaN; -0 is below 0.
template <class T>
T min_float(T a, T b) {
  if (unordered(a, b)) return a == a ? a : withNaN(b);
  return a < b || (a == b && std::signbit(a)) ? a : b;
}
template <class T>
T max_float(T a, T b) {
  if (unordered(a, b)) return a == a ? a : withNaN(b);
  return a > b || (a == b && !std::signbit(a)) ? a : b;
}

// ---- conversions ---------------------------------------------------------------------------------------------------

template <class To, class From>
To convert(From value) { return static_cast<To>(value); }
template <class To, class From>
To convert_float(From value) { return withNaN(static_cast<To>(value)); }

/// Towards 0, to the nearest number where there is none; NaN becomes 0.
template <class To, class From>
To convert_rzi(From value) {
  if (value != value) return 0;
  if (value <= static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
  if (value >= static_cast<From>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
  return static_cast<To>(value);
}

inline double round_rzi(double a) { return withNaN(std::trunc(a)); }
inline double round_rmi(double a) { return withNaN(std::floor(a)); }
inline double round_rni(double a) { return withNaN(std::nearbyint(a)); }

/// 16-bit floats by their definition: e exponent bits, 15 - e of the fraction.
inline float fromSmall(std::uint16_t bits, int exponentBits) {
  const int fractionBits = 15 - exponentBits, bias = (1 << (exponentBits - 1)) - 1;
  const int exponent = bits >> fractionBits & ((1 << exponentBits) - 1);
  const int fraction = bits & ((1 << fractionBits) - 1);
  if (exponent == (1 << exponentBits) - 1 && fraction != 0) return bitsToFloat(0x7fffffffu);
  float magnitude = std::numeric_limits<float>::infinity();
  if (exponent == 0) magnitude = std::ldexp(static_cast<float>(fraction), 1 - bias - fractionBits);
  else if (exponent != (1 << exponentBits) - 1)
    magnitude = std::ldexp(static_cast<float>(fraction + (1 << fractionBits)), exponent - bias - fractionBits);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

inline std::uint16_t toSmall(float value, int exponentBits) {
  if (value != value) return 0x7fff;
  const int fractionBits = 15 - exponentBits, bias = (1 << (exponentBits - 1)) - 1;
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const auto infinity = static_cast<std::uint16_t>(((1 << exponentBits) - 1) << fractionBits);
  const float magnitude = std::fabs(value);
  if (magnitude == 0) return sign;
  if (std::isinf(magnitude)) return sign | infinity;
  const int exponent = std::ilogb(magnitude) < 1 - bias ? 1 - bias : std::ilogb(magnitude);
  // In double the product is exact, and nearbyint rounds to even.
  const double units = std::nearbyint(std::ldexp(static_cast<double>(magnitude), fractionBits - exponent));
  const long whole = (static_cast<long>(exponent + bias - 1) << fractionBits) + static_cast<long>(units);
  return static_cast<std::uint16_t>(sign | (whole >= infinity ? infinity : static_cast<std::uint16_t>(whole)));
}

inline float from_f16(std::uint16_t bits) { return fromSmall(bits, 5); }
inline float from_bf16(std::uint16_t bits) { return fromSmall(bits, 8); }
inline std::uint16_t to_f16(float value) { return toSmall(value, 5); }
inline std::uint16_t to_bf16(float value) { return toSmall(value, 8); }

/// The first operand becomes the upper half.
inline std::uint32_t to_f16x2(float high, float low) { return std::uint32_t{to_f16(high)} << 16 | to_f16(low); }
inline std::uint32_t to_bf16x2(float high, float low) { return std::uint32_t{to_bf16(high)} << 16 | to_bf16(low); }

inline std::uint32_t set_gt(std::uint32_t a, std::uint32_t b, float (*from)(std::uint16_t)) {
  const auto half = [](std::uint32_t word, int shift) { return static_cast<std::uint16_t>(word >> shift); };
  return (from(half(a, 0)) > from(half(b, 0)) ? 0xffffu : 0u) |
         (from(half(a, 16)) > from(half(b, 16)) ? 0xffff0000u : 0u);
}
inline std::uint32_t set_gt_f16x2(std::uint32_t a, std::uint32_t b) { return set_gt(a, b, from_f16); }
inline std::uint32_t set_gt_bf16x2(std::uint32_t a, std::uint32_t b) { return set_gt(a, b, from_bf16); }

// ---- warps ---------------------------------------------------------------------------------------------------------

template <class T>
using Atomic = std::conditional_t<sizeof(T) == 4, unsigned, unsigned long long>;

template <class T>
T atom_add(std::uint64_t p, T value) {
  return atomicAdd(static_cast<Atomic<T>*>(pointer(p)), static_cast<Atomic<T>>(value));
}
template <class T>
T atom_or(std::uint64_t p, T value) {
  return atomicOr(static_cast<Atomic<T>*>(pointer(p)), static_cast<Atomic<T>>(value));
}
template <class T>
T atom_exch(std::uint64_t p, T value) {
  return atomicExch(static_cast<Atomic<T>*>(pointer(p)), static_cast<Atomic<T>>(value));
}
template <class T>
T atom_max(std::uint64_t p, T value) {
  return atomicMax(static_cast<Atomic<T>*>(pointer(p)), static_cast<Atomic<T>>(value));
}

inline std::uint32_t vote_ballot(bool predicate, std::uint32_t mask) {
  return emulator::detail::ballot(mask, predicate);
}
inline bool vote_any(bool predicate, std::uint32_t mask) { return vote_ballot(predicate, mask) != 0; }
inline bool vote_all(bool predicate, std::uint32_t mask) { return vote_ballot(predicate, mask) == mask; }

/// Only whole warps shuffle here.
inline std::uint32_t shuffle(emulator::detail::Shuffle kind, std::uint32_t value, std::uint32_t lane,
                             std::uint32_t clamp, std::uint32_t mask) {
  if (clamp != 31) std::abort();
  return static_cast<std::uint32_t>(emulator::detail::shuffle(kind, mask, value, 4, lane, warpSize));
}
inline std::uint32_t shfl_bfly(std::uint32_t value, std::uint32_t lanes, std::uint32_t clamp, std::uint32_t mask) {
  return shuffle(emulator::detail::Shuffle::Xor, value, lanes, clamp, mask);
}
inline std::uint32_t shfl_idx(std::uint32_t value, std::uint32_t lane, std::uint32_t clamp, std::uint32_t mask) {
  return shuffle(emulator::detail::Shuffle::Index, value, lane, clamp, mask);
}

// ---- kernels -------------------------------------------------------------------------------------------------------

/// Makes launches of a kernel that g++ compiled run its translation.
struct Kernel {
  Kernel(void (*compiled)(), void (*translated)(const unsigned char*), std::size_t bytes, const char* name);
};

}  // namespace gradclip::ptx
