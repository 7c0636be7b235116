// SPDX-License-Identifier: Apache-2.0
// Multiplies by what decide found; backwards, for what was measured last is still in the L2 cache.
#include "common/norms_and_coefficients.hpp"
#include "kernels/grids.hpp"
#include "kernels/launch.hpp"
#include "kernels/transform.cuh"

namespace gradclip {
namespace {

__device__ __forceinline__ bool changesType(std::int32_t dtype, double coefficient) {
  return static_cast<DType>(dtype) == DType::Float64 ? changesDouble(coefficient) : changesFloat(coefficient);
}

/// How the elements of a vector are scaled.
struct Scaling {
  double coefficient;
  bool zero;  ///< non-finite elements become 0

  /// A product of floats will do, and no element is looked at.
  __device__ __forceinline__ bool plain() const { return !zero && !needsDouble(coefficient); }
};

template <class T>
__device__ __forceinline__ typename Element<T>::Bits scaledElement(typename Element<T>::Bits bits,
                                                                   const Scaling& scaling) {
  using A = typename Element<T>::A;
  if (scaling.zero && absoluteBits<T>(bits) >= Element<T>::kInfinity) bits = 0;
  if (sizeof(T) == 8 ? !changesDouble(scaling.coefficient) : !changesFloat(scaling.coefficient)) return bits;
  if (needsDouble(scaling.coefficient)) return scaled<T>(bits, scaling.coefficient);
  return Element<T>::encode(Element<T>::decode(bits) * static_cast<A>(scaling.coefficient));
}

struct ScaleVectors {
  Vectors& v;
  const Scaling& scaling;

  template <class T>
  __device__ __forceinline__ unsigned run() const {
    scaling.plain() ? scale<T, true>() : scale<T, false>();
    return ~0u;
  }

  __device__ __forceinline__ unsigned unknown() const { return 0; }

 private:
  template <class T, bool Plain>
  __device__ __forceinline__ void scale() const {
    GRADCLIP_UNROLL
    for (int k = 0; k < kInFlight; ++k) v.at[k] = scaledVector<T, Plain>(v.at[k]);
  }

  template <class T, bool Plain>
  __device__ __forceinline__ Vector scaledVector(const Vector& vector) const {
    using A = typename Element<T>::A;
    Vector result = {};
    GRADCLIP_UNROLL
    for (int c = 0; c < kComponents<T>; ++c) {
      const auto bits = component<T>(vector, c);
      if constexpr (Plain) {
        setComponent<T>(result, c, Element<T>::encode(Element<T>::decode(bits) * static_cast<A>(scaling.coefficient)));
      } else {
        setComponent<T>(result, c, scaledElement<T>(bits, scaling));
      }
    }
    return result;
  }
};

struct Scale {
  std::int32_t dtype;
  Scaling scaling;

  /// All vectors are written.
  __device__ __forceinline__ unsigned apply(Vectors& v, int) const {
    return dispatch(dtype, ScaleVectors{v, scaling});
  }
};

__device__ __forceinline__ Scaling scalingOf(const ScaleParams& params, const Decision& decision, const Row& row) {
  const bool perSegment = decision.mode == Mode::PerSegment;
  return {perSegment ? loadGlobal<double>(params.coefficients + row.segment) : decision.coefficient, decision.zero != 0};
}

__device__ __forceinline__ bool changesRow(const Row& row, const Scaling& scaling) {
  return scaling.zero || changesType(row.dtype, scaling.coefficient);
}

__device__ __forceinline__ void scaleTile(const ScaleParams& params, const Decision& decision, std::uint32_t number,
                                          const Row& row) {
  const Scale scale = {row.dtype, scalingOf(params, decision, row)};
  if (changesRow(row, scale.scaling)) transformTile(tileOf(row, number), scale);
}

__device__ __forceinline__ bool touchesNothing(const Decision& decision) {
  if (decision.mode == Mode::Untouched) return true;
  return decision.mode == Mode::Global && decision.zero == 0 && !changesFloat(decision.coefficient) &&
         !changesDouble(decision.coefficient);
}

__global__ void __launch_bounds__(kBlockThreads, 3) scaleKernel(const ScaleParams params) {
  const Decision decision = bitCast<Decision>(loadGlobal<uint4>(params.decision));
  if (touchesNothing(decision)) return;
  for (std::uint32_t i = warpIndex(); i < params.tileCount; i += warpCount()) {
    const std::uint32_t tile = params.tileCount - 1 - i;
    scaleTile(params, decision, tile, rowOfTile(params.tiles, tile));
  }
}

}  // namespace

cudaError_t findScaleGrid(int device, Grids* grids) { return residentBlocks(device, scaleKernel, &grids->scale); }

cudaError_t enqueueScale(const Grids& grids, cudaStream_t stream, const ScaleParams& params) {
  return launch(scaleKernel, blocksFor(params.tileCount, grids.scale), kBlockThreads, 0, stream, params);
}

}  // namespace gradclip
