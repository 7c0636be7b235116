// SPDX-License-Identifier: Apache-2.0
// 16-byte vectors of elements, at any alignment, without touching a byte outside the elements.
#pragma once

#include <type_traits>

#include "kernels/device_words.cuh"
#include "common/elements.hpp"
#include "common/canonical_tile.hpp"
#include "gradclip/dtype.hpp"

namespace gradclip {

using Byte = unsigned char;

constexpr int kTile = static_cast<int>(kTileBytes);
constexpr int kStripe = kTile / kStripes;

struct Vector {
  std::uint32_t word[4];
};

/// How a vector's 16 bytes are moved: at once, in 32-bit words, or, from an odd 16-bit element, in a half, three words
/// and a half.
enum class Access { Whole, Words, OddHalves };

__device__ __forceinline__ Access accessOf(std::uint64_t address) {
  return address % 16 == 0 ? Access::Whole : address % 4 == 0 ? Access::Words : Access::OddHalves;
}

__device__ __forceinline__ Byte* bytesAt(std::uint64_t address) {
  return reinterpret_cast<Byte*>(static_cast<std::uintptr_t>(address));
}

template <Access A>
__device__ __forceinline__ Vector loadVector(const Byte* p) {
  Vector v;
  if constexpr (A == Access::Whole) {
    const uint4 all = loadGlobal<uint4>(p);
    v = {{all.x, all.y, all.z, all.w}};
  } else if constexpr (A == Access::Words) {
    GRADCLIP_UNROLL
    for (int i = 0; i < 4; ++i) v.word[i] = loadGlobal<std::uint32_t>(p + 4 * i);
  } else {
    const std::uint32_t first = loadGlobal<std::uint16_t>(p), last = loadGlobal<std::uint16_t>(p + 14);
    std::uint32_t middle[3];
    GRADCLIP_UNROLL
    for (int i = 0; i < 3; ++i) middle[i] = loadGlobal<std::uint32_t>(p + 2 + 4 * i);
    v = {{first | middle[0] << 16, middle[0] >> 16 | middle[1] << 16, middle[1] >> 16 | middle[2] << 16,
          middle[2] >> 16 | last << 16}};
  }
  return v;
}

template <Access A>
__device__ __forceinline__ void storeVector(Byte* p, const Vector& v) {
  if constexpr (A == Access::Whole) {
    storeGlobal<uint4>(p, uint4{v.word[0], v.word[1], v.word[2], v.word[3]});
  } else if constexpr (A == Access::Words) {
    GRADCLIP_UNROLL
    for (int i = 0; i < 4; ++i) storeGlobal<std::uint32_t>(p + 4 * i, v.word[i]);
  } else {
    storeGlobal<std::uint16_t>(p, static_cast<std::uint16_t>(v.word[0]));
    GRADCLIP_UNROLL
    for (int i = 0; i < 3; ++i) storeGlobal<std::uint32_t>(p + 2 + 4 * i, v.word[i] >> 16 | v.word[i + 1] << 16);
    storeGlobal<std::uint16_t>(p + 14, static_cast<std::uint16_t>(v.word[3] >> 16));
  }
}

/// Bits of component c.
template <class T>
__device__ __forceinline__ typename Element<T>::Bits component(const Vector& v, int c) {
  using Bits = typename Element<T>::Bits;
  if constexpr (sizeof(T) == 8) {
    return static_cast<Bits>(v.word[2 * c + 1]) << 32 | v.word[2 * c];
  } else if constexpr (sizeof(T) == 4) {
    return v.word[c];
  } else {
    return static_cast<Bits>(v.word[c / 2] >> (c % 2 * 16));
  }
}

/// The component must hold 0 before.
template <class T>
__device__ __forceinline__ void setComponent(Vector& v, int c, typename Element<T>::Bits bits) {
  if constexpr (sizeof(T) == 8) {
    v.word[2 * c] = static_cast<std::uint32_t>(bits);
    v.word[2 * c + 1] = static_cast<std::uint32_t>(bits >> 32);
  } else if constexpr (sizeof(T) == 4) {
    v.word[c] = bits;
  } else {
    v.word[c / 2] |= static_cast<std::uint32_t>(bits) << (c % 2 * 16);
  }
}

/// The two halves of a word as floats.
struct Pair {
  float low, high;
};

template <class T>
__device__ __forceinline__ Pair pairOf(std::uint32_t word) {
  const auto low = static_cast<std::uint16_t>(word), high = static_cast<std::uint16_t>(word >> 16);
  return {Element<T>::decode(low), Element<T>::decode(high)};
}

/// Both rounded to T.
template <class T>
__device__ __forceinline__ std::uint32_t wordOf(const Pair& pair) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint32_t word;
  if constexpr (std::is_same_v<T, Float16>) {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(pair.high), "f"(pair.low));
  } else {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(pair.high), "f"(pair.low));
  }
  return word;
#else
  return Element<T>::encode(pair.low) | static_cast<std::uint32_t>(Element<T>::encode(pair.high)) << 16;
#endif
}

/// The bits of a product. A device's NaN is the canonical one already.
template <class T>
__device__ __forceinline__ typename Element<T>::Bits productBits(typename Element<T>::A product) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(T) == 4) return bitCast<typename Element<T>::Bits>(product);
#endif
  return Element<T>::encode(product);
}

/// 0x8000 for each half that is NaN or infinite: there what lacks to 0x8000 carries into the sign.
template <class T>
__device__ __forceinline__ std::uint32_t nonFinite(std::uint32_t halves) {
  return ((halves & 0x7fff7fffu) + (0x8000u - Element<T>::kInfinity) * 0x10001u) & 0x80008000u;
}

/// 0xffff for each half of a that is greater than b's, else 0.
template <class T>
__device__ __forceinline__ std::uint32_t greater(std::uint32_t a, std::uint32_t b) {
#if defined(__CUDA_ARCH__)
  std::uint32_t mask;
  if constexpr (std::is_same_v<T, Float16>) {
    asm("set.gt.u32.f16x2 %0, %1, %2;" : "=r"(mask) : "r"(a), "r"(b));
    return mask;
  }
#if __CUDA_ARCH__ >= 900
  if constexpr (std::is_same_v<T, BFloat16>) {
    asm("set.gt.u32.bf16x2 %0, %1, %2;" : "=r"(mask) : "r"(a), "r"(b));
    return mask;
  }
#endif
#endif
  const Pair x = pairOf<T>(a), y = pairOf<T>(b);
  return (x.low > y.low ? 0xffffu : 0u) | (x.high > y.high ? 0xffff0000u : 0u);
}

/// The first `bytes` of a vector, an even number; the others are 0.
__device__ __forceinline__ Vector loadSome(const Byte* p, int bytes) {
  Vector v = {};
  GRADCLIP_UNROLL
  for (int i = 0; i < 8; ++i) {
    if (2 * i >= bytes) break;
    v.word[i / 2] |= static_cast<std::uint32_t>(loadGlobal<std::uint16_t>(p + 2 * i)) << (i % 2 * 16);
  }
  return v;
}

__device__ __forceinline__ void storeSome(Byte* p, const Vector& v, int bytes) {
  GRADCLIP_UNROLL
  for (int i = 0; i < 8; ++i) {
    if (2 * i < bytes) storeGlobal(p + 2 * i, static_cast<std::uint16_t>(v.word[i / 2] >> (i % 2 * 16)));
  }
}

template <int N>
struct Vectors {
  Vector at[N];
};

/// A lane's vectors of a whole, aligned tile where it lies.
struct InPlace {
  const Byte* lane;

  /// One of each stripe from one on, all loaded before the first is used.
  template <int N>
  __device__ __forceinline__ Vectors<N> vectors(int stripe) const {
    Vectors<N> v;
    GRADCLIP_UNROLL
    for (int k = 0; k < N; ++k) v.at[k] = loadVector<Access::Whole>(lane + (stripe + k) * kStripe);
    return v;
  }
};

/// Vectors that a lane has in flight where a tile is short or not aligned. All that moves bytes is then the same code
/// for every element type: there are three ways to move a vector, and tails.
constexpr int kFew = 4;

template <Access A>
__device__ __forceinline__ void loadWhole(Vectors<kFew>& v, const Byte* p, int left) {
  GRADCLIP_UNROLL
  for (int k = 0; k < kFew; ++k) {
    const int from = k * kStripe;
    v.at[k] = left >= from + 16 ? loadVector<A>(p + from) : Vector{};
  }
}

/// A lane's next vectors, one of each stripe, of the `left` bytes at p, loaded independently of each other; what is not
/// there is 0.
__device__ __forceinline__ void load(Vectors<kFew>& v, const Byte* p, int left, Access access) {
  switch (access) {
    case Access::Whole: loadWhole<Access::Whole>(v, p, left); break;
    case Access::Words: loadWhole<Access::Words>(v, p, left); break;
    case Access::OddHalves: loadWhole<Access::OddHalves>(v, p, left); break;
  }
  const int last = left / 16;
  if (left <= 0 || left % 16 == 0 || last % kThreads != 0 || last / kThreads >= kFew) return;
  const Vector some = loadSome(p + last * 16, left % 16);
  GRADCLIP_UNROLL
  for (int i = 0; i < kFew * 4; ++i) v.at[i / 4].word[i % 4] |= i / 4 == last / kThreads ? some.word[i % 4] : 0;
}

/// Stores as many of the 16 bytes as are left.
__device__ __forceinline__ void store(Byte* p, int left, const Vector& v, Access access) {
  if (left < 16) return storeSome(p, v, left);
  switch (access) {
    case Access::Whole: return storeVector<Access::Whole>(p, v);
    case Access::Words: return storeVector<Access::Words>(p, v);
    case Access::OddHalves: return storeVector<Access::OddHalves>(p, v);
  }
}

}  // namespace gradclip
