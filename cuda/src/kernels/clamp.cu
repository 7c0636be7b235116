// SPDX-License-Identifier: Apache-2.0
// Clamps in one pass; writes only vectors of which an element changes, and counts these.
#include <initializer_list>

#include "kernels/changes.cuh"
#include "kernels/grids.hpp"
#include "kernels/launch.hpp"
#include "kernels/transform.cuh"

namespace gradclip {
// Named: nvcc makes the name of an unnamed one from the path of this file, and it would end up in the library.
inline namespace clamping {

/// How elements that are clamped are changed before.
enum class Before { Nothing, Zeroes, Unscales };

/// Clamps elements. What lies beyond a limit becomes the limit rounded to the type, and as no number of the type lies
/// between the two, the rounded one is compared with. A NaN is neither above nor below. An element that was zeroed
/// counts as changed once: either the limits have 0 between them, or it is clamped too.
template <Before before>
struct Clamp {
  const ClampLimits& limits;
  Changes& changes;

  template <class T>
  __device__ __forceinline__ auto of() const {
    using A = typename Element<T>::A;
    using Bits = typename Element<T>::Bits;
    const A min = limitIn<T>(limits.min), max = limitIn<T>(limits.max), factor = static_cast<A>(limits.inverseScale);
    const Bits minBits = Element<T>::encode(min), maxBits = Element<T>::encode(max);
    const bool zeroes = before != Before::Nothing && limits.zeroNonFinite;
    return [=](Vector& v) {
      unsigned changed = 0;  // of halves, the upper ones in the upper half
      bool zeroed = false, differs = false;
      if constexpr (sizeof(T) == 2) {
        const std::uint32_t mins = minBits * 0x10001u, maxs = maxBits * 0x10001u;
        GRADCLIP_UNROLL
        for (std::uint32_t& word : v.word) {
          const std::uint32_t was = word;
          std::uint32_t zero = 0;
          if constexpr (before != Before::Nothing) {
            zero = zeroes ? (nonFinite<T>(word) >> 15) * 0xffffu : 0;
            word &= ~zero;
            zeroed = zeroed || zero != 0;
          }
          if constexpr (before == Before::Unscales) {
            const Pair pair = pairOf<T>(word);
            word = wordOf<T>(Pair{pair.low * factor, pair.high * factor});
          }
          const std::uint32_t above = greater<T>(word, maxs), below = greater<T>(mins, word);
          word = (word & ~above) | (maxs & above);
          word = (word & ~below) | (mins & below);
          changed += (above | below | zero) & 0x10001u;
          if constexpr (before == Before::Unscales) differs = differs || word != was;
        }
      } else {
        GRADCLIP_UNROLL
        for (int c = 0; c < kComponents<T>; ++c) {
          const Bits was = component<T>(v, c);
          Bits bits = was;
          bool zero = false;
          if constexpr (before != Before::Nothing) {
            zero = zeroes && absoluteBits<T>(bits) >= Element<T>::kInfinity;
            bits = zero ? Bits{0} : bits;
            zeroed = zeroed || zero;
          }
          if constexpr (before == Before::Unscales) bits = productBits<T>(Element<T>::decode(bits) * factor);
          const bool above = Element<T>::decode(bits) > max, below = Element<T>::decode(bits) < min;
          const Bits lowered = above ? maxBits : bits, now = below ? minBits : lowered;
          setComponent<T>(v, c, now);
          changed += static_cast<unsigned>(above | below | zero);
          if constexpr (before == Before::Unscales) differs = differs || now != was;
        }
      }
      changes.elements += (changed & 0xffffu) + (changed >> 16);
      if constexpr (before != Before::Nothing) changes.zeroed |= zeroed ? 1u : 0u;
      return before == Before::Unscales ? differs : changed != 0;
    };
  }
};

/// What became of a vector.
struct Clamped {
  Vector v;
  unsigned elements;  ///< changed by the clamp
  bool zeroed, differs;
};

/// In any way, element by element. What a vector lacks is 0, and may lie beyond the limits.
struct ClampEach {
  const Vector& v;
  int bytes;
  const ClampLimits& limits;

  template <class T>
  __device__ __forceinline__ Clamped run() const {
    const auto min = limitIn<T>(limits.min), max = limitIn<T>(limits.max);
    // 0 lies within the limits; else what was zeroed is counted when it is clamped.
    const bool countsZeroed = limits.min <= 0.0 && limits.max >= 0.0;
    Clamped result = {};
    GRADCLIP_UNROLL
    for (int c = 0; c < kComponents<T>; ++c) {
      const auto bits = component<T>(v, c);
      const bool zero = limits.zeroNonFinite && absoluteBits<T>(bits) >= Element<T>::kInfinity;
      const auto kept = zero ? typename Element<T>::Bits{0} : unscaled<T>(bits);
      const auto now = clamped<T>(kept, min, max);
      setComponent<T>(result.v, c, now);
      if (c * static_cast<int>(sizeof(T)) >= bytes) continue;
      result.elements += now != kept || (zero && countsZeroed) ? 1u : 0u;
      result.zeroed = result.zeroed || zero;
      result.differs = result.differs || now != bits;
    }
    return result;
  }

  __device__ __forceinline__ Clamped unknown() const { return {}; }

 private:
  template <class T>
  __device__ __forceinline__ typename Element<T>::Bits unscaled(typename Element<T>::Bits bits) const {
    return limits.inverseScale == 1.0 ? bits : scaled<T>(bits, limits.inverseScale);
  }
};

/// Whether a limit other than 0 may become 0 in the type: it turns one zero into the other, and these compare equal.
__device__ __forceinline__ bool vanishes(double limit, std::int32_t dtype) {
  const auto type = static_cast<DType>(dtype);
  const double least = type == DType::Float16    ? 0x1p-24
                       : type == DType::BFloat16 ? 0x1p-133
                       : type == DType::Float32  ? 0x1p-149
                                                 : 0.0;
  return limit != 0.0 && std::fabs(limit) < least;
}

/// Whether every element can be changed as Clamp does it.
__device__ __forceinline__ bool ordinary(const ClampLimits& limits, std::int32_t dtype) {
  const bool inFloat = static_cast<DType>(dtype) == DType::Float64 || !needsDouble(limits.inverseScale);
  return inFloat && !vanishes(limits.min, dtype) && !vanishes(limits.max, dtype);
}

__device__ __forceinline__ Before before(const ClampLimits& limits) {
  if (limits.inverseScale != 1.0) return Before::Unscales;
  return limits.zeroNonFinite ? Before::Zeroes : Before::Nothing;
}

/// A piece's limits. They are read anew for each tile: kept, they would take registers that its elements need.
__device__ __forceinline__ ClampLimits limitsOf(const ClampParams& params, const DevicePiece& piece) {
  return limitsOf(params.parts, static_cast<std::uint32_t>(piece.segment), limitsNow(params.capture, params.limits));
}

GRADCLIP_NOINLINE __device__ Clamped clampedEach(std::int32_t dtype, Vector v, int bytes, ClampLimits limits) {
  return dispatch(dtype, ClampEach{v, bytes, limits});
}

/// Clamps the first `count` vectors, which are whole.
template <Before before>
__device__ __forceinline__ unsigned clampFew(std::int32_t dtype, Vectors<kFew>& v, int count, const ClampLimits& limits,
                                             Changes& changes) {
  const Clamp<before> clamp = {limits, changes};
  return dispatch(dtype, ChangeFew<Clamp<before>>{v, clamp, count});
}

/// Any tile, in any way. Out of line: whole tiles shall not pay for it in registers.
template <class Place, class Given>
GRADCLIP_NOINLINE __device__ Changes clampAny(std::int32_t dtype, Given given, ClampLimits limits) {
  Changes changes = {0, 0};
  const Place tile = {given};  // given as one, it made the kernel spill 16 bytes of registers from 10.0 on
  transformFew(tile, tile, [&](Vectors<kFew>& v, int left) {
    unsigned writes = 0;
    int done = 0;
    if (ordinary(limits, dtype)) {
      while (done < kFew && bytesOf(done, left) >= 16) ++done;
      switch (before(limits)) {
        case Before::Nothing: writes = clampFew<Before::Nothing>(dtype, v, done, limits, changes); break;
        case Before::Zeroes: writes = clampFew<Before::Zeroes>(dtype, v, done, limits, changes); break;
        case Before::Unscales: writes = clampFew<Before::Unscales>(dtype, v, done, limits, changes); break;
      }
    }
    GRADCLIP_UNROLL
    for (int k = 0; k < kFew; ++k) {
      if (k < done || bytesOf(k, left) <= 0) continue;
      const Clamped now = clampedEach(dtype, v.at[k], bytesOf(k, left), limits);
      v.at[k] = now.v;
      changes.elements += now.elements;
      changes.zeroed |= now.zeroed ? 1u : 0u;
      writes |= now.differs ? 1u << k : 0u;
    }
    return writes;
  });
  return changes;
}

template <Before before, int Count>
__device__ __forceinline__ void clampWhole(std::int32_t dtype, Byte* lane, const ClampLimits& limits,
                                           Changes& changes) {
  const Clamp<before> clamp = {limits, changes};
  dispatch(dtype, ChangeWhole<Count, Clamp<before>, InPlace>{lane, clamp, {lane}});
}

/// A whole tile whose elements are changed before they are clamped. Out of line, as what is rare.
template <Before before>
GRADCLIP_NOINLINE __device__ Changes clampChanged(std::int32_t dtype, Byte* lane, ClampLimits limits) {
  Changes changes = {0, 0};
  clampWhole<before, kTuning.clamp.vectors / 2>(dtype, lane, limits, changes);
  return changes;
}

__device__ __forceinline__ void clampTile(const ClampLimits& limits, std::uint32_t number, const DevicePiece& piece,
                                          Changes& changes) {
  const bool whole = ordinary(limits, piece.dtype) && isWhole(piece, number);
  const Before what = before(limits);
  if (whole && what == Before::Nothing) {
    clampWhole<Before::Nothing, kTuning.clamp.vectors>(piece.dtype, laneOf(piece, number), limits, changes);
    return;
  }
  const Changes more = !whole ? clampAny<Loaded>(piece.dtype, tileOf(piece, number), limits)
                       : what == Before::Zeroes
                           ? clampChanged<Before::Zeroes>(piece.dtype, laneOf(piece, number), limits)
                           : clampChanged<Before::Unscales>(piece.dtype, laneOf(piece, number), limits);
  changes.elements += more.elements;
  changes.zeroed |= more.zeroed;
}

__device__ __forceinline__ void clampAnyTile(const ClampLimits& limits, std::uint32_t number, const DevicePiece& piece,
                                             const TileTable& tiles, Changes& changes) {
  const Changes more = piece.strided != 0 ? clampAny<Gathered>(piece.dtype, gatheredOf(tiles, piece, number), limits)
                                          : clampAny<Loaded>(piece.dtype, tileOf(piece, number), limits);
  changes.elements += more.elements;
  changes.zeroed |= more.zeroed;
}

}  // namespace clamping

/// Of a plan that has units along an axis, where `strided`: these took registers that whole tiles need. Such a plan is
/// rarely clamped.
template <bool strided>
__global__ void __launch_bounds__(kBlockThreads, kTuning.clamp.blocks) clampKernel(const ClampParams params) {
  if (params.decision != nullptr) {
    const Decision decision = loadStruct(params.decision);
    if (decision.mode == Mode::Untouched) return;
  }
  Changes changes = {0, 0};
  forEachTile(
      params.tiles, params.tileCount, [](std::uint32_t i) { return i; },
      [&](std::uint32_t tile, const DevicePiece& piece) {
        if constexpr (strided) clampAnyTile(limitsOf(params, piece), tile, piece, params.tiles, changes);
        else clampTile(limitsOf(params, piece), tile, piece, changes);
      });
  countChanges(params.control, changes);
  if (lastBlock(params.control, sharedMemory<unsigned>()) && threadIdx.x == 0)
    publishChanges(params.control, params.slot, ticketOf(params.ticket, params.capture));
}

cudaError_t findClampGrid(int device, Grids* grids) { return residentBlocks(device, clampKernel<false>, &grids->clamp); }

cudaError_t enqueueClamp(const Grids& grids, cudaStream_t stream, const ClampParams& params, bool strided) {
  const auto kernel = strided ? clampKernel<true> : clampKernel<false>;
  return launch(kernel, blocksFor(params.tileCount, grids.clamp), kBlockThreads, sizeof(unsigned), stream, params);
}

cudaError_t findGrids(int device, Grids* grids) {
  grids->follow = true;
  for (auto* find :
       {findMeasureGrids, findLaggedGrids, findDecideGrid, findScaleGrid, findClampGrid, findUpdateGrids}) {
    const cudaError_t error = find(device, grids);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace gradclip
