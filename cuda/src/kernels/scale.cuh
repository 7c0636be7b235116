// SPDX-License-Identifier: Apache-2.0
// Multiplies by what decide found.
#pragma once

#include "common/norms_and_coefficients.hpp"
#include "kernels/launches.hpp"
#include "kernels/transform.cuh"

namespace gradclip {

__device__ __forceinline__ bool changesType(std::int32_t dtype, double coefficient) {
  return static_cast<DType>(dtype) == DType::Float64 ? changesDouble(coefficient) : changesFloat(coefficient);
}

/// How elements are scaled.
struct Scaling {
  double coefficient;
  bool zero;  ///< non-finite elements become 0

  /// A product of floats will do, and no element is looked at.
  __device__ __forceinline__ bool plain() const { return !zero && !needsDouble(coefficient); }
};

struct Multiply {
  double coefficient;

  template <class T>
  __device__ __forceinline__ auto of() const {
    const auto factor = static_cast<typename Element<T>::A>(coefficient);
    return [factor](Vector& v) {
      if constexpr (sizeof(T) == 2) {
        GRADCLIP_UNROLL
        for (std::uint32_t& word : v.word) {
          const Pair pair = pairOf<T>(word);
          word = wordOf<T>(Pair{pair.low * factor, pair.high * factor});
        }
      } else {
        GRADCLIP_UNROLL
        for (int c = 0; c < kComponents<T>; ++c) {
          setComponent<T>(v, c, productBits<T>(Element<T>::decode(component<T>(v, c)) * factor));
        }
      }
      return true;
    };
  }
};

/// In any way, element by element.
struct ScaleEach {
  const Vector& v;
  const Scaling& scaling;

  template <class T>
  __device__ __forceinline__ Vector run() const {
    const bool changes = sizeof(T) == 8 ? changesDouble(scaling.coefficient) : changesFloat(scaling.coefficient);
    Vector result = {};
    GRADCLIP_UNROLL
    for (int c = 0; c < kComponents<T>; ++c) {
      auto bits = component<T>(v, c);
      if (scaling.zero && absoluteBits<T>(bits) >= Element<T>::kInfinity) bits = 0;
      setComponent<T>(result, c, changes ? scaled<T>(bits, scaling.coefficient) : bits);
    }
    return result;
  }

  __device__ __forceinline__ Vector unknown() const { return v; }
};

GRADCLIP_NOINLINE __device__ inline Vector scaledEach(std::int32_t dtype, Vector v, Scaling scaling) {
  return dispatch(dtype, ScaleEach{v, scaling});
}

/// Any tile, in any way. Out of line: whole tiles shall not pay for it in registers.
template <class Place, class Source>
GRADCLIP_NOINLINE __device__ void scaleAny(std::int32_t dtype, Place tile, Source source, Scaling scaling) {
  const Multiply multiply = {scaling.coefficient};
  transformFew(tile, source, [&](Vectors<kFew>& v, int) {
    if (scaling.plain()) return dispatch(dtype, ChangeFew<Multiply>{v, multiply});
    GRADCLIP_UNROLL
    for (Vector& one : v.at) one = scaledEach(dtype, one, scaling);
    return ~0u;
  });
}

__device__ __forceinline__ Scaling scalingOf(const ScaleParams& params, const Decision& decision,
                                             const DevicePiece& piece) {
  const bool perSegment = decision.mode != Mode::Global;
  const double coefficient =
      perSegment ? loadGlobal<double>(params.coefficients + piece.segment) : decision.coefficient;
  return {coefficient, decision.zero != 0};
}

__device__ __forceinline__ bool changesPiece(const DevicePiece& piece, const Scaling& scaling) {
  return scaling.zero || changesType(piece.dtype, scaling.coefficient);
}

/// Whole and Any say where the tile's vectors come from.
template <bool strided = true, class Whole, class Any>
__device__ __forceinline__ void scaleTile(const Scaling& scaling, const TileTable& tiles, std::uint32_t number,
                                          const DevicePiece& piece, const Whole& whole, const Any& any) {
  if (!changesPiece(piece, scaling)) return;
  if (scaling.plain() && isWhole(piece, number)) {
    const Multiply multiply = {scaling.coefficient};
    Byte* const lane = laneOf(piece, number);
    dispatch(piece.dtype, ChangeWhole<kTuning.scale.vectors, Multiply, Whole>{lane, multiply, whole});
  } else if (strided && piece.strided != 0) {
    const Gathered tile = gatheredOf(tiles, piece, number);
    if constexpr (std::is_same_v<Any, Loaded>) scaleAny(piece.dtype, tile, tile, scaling);
    else scaleAny(piece.dtype, tile, any, scaling);
  } else {
    scaleAny(piece.dtype, Loaded{tileOf(piece, number)}, any, scaling);
  }
}

__device__ __forceinline__ bool touchesNothing(const Decision& decision) {
  if (decision.mode == Mode::Untouched) return true;
  if (decision.zero != 0) return false;
  if (decision.mode == Mode::Unchanged) return true;
  return decision.mode == Mode::Global && !changesDouble(decision.coefficient);
}

}  // namespace gradclip
