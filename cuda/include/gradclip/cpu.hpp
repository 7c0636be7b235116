// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "gradclip/dtype.hpp"
#include "gradclip/norm.hpp"
#include "gradclip/piece.hpp"

namespace gradclip {

/// Writes one partial per tile of the `count` elements at `x`, which start a tile. `partials` is the first tile's
/// middle partial; the low and high planes follow at `planeStride` and 2 * `planeStride` doubles and are written for
/// float64 alone. Returns the planes used besides the middle one.
using MeasureFunction = unsigned (*)(const void* x, std::int64_t count, double* partials, std::int64_t planeStride);

using ScaleFunction = void (*)(void* x, std::int64_t count, double coefficient);

/// Returns how many elements changed.
using ClampFunction = std::int64_t (*)(void* x, std::int64_t count, double min, double max);
using ZeroNonFiniteFunction = std::int64_t (*)(void* x, std::int64_t count);

/// Indexed by norm (L1, L2, Inf), then DType.
struct MeasureKernels {
  MeasureFunction measure[3][kDTypes];
};

/// Indexed by DType, as all below.
struct ScaleKernels {
  ScaleFunction scale[kDTypes];
};

struct ClampKernels {
  ClampFunction clamp[kDTypes];
  ZeroNonFiniteFunction zeroNonFinite[kDTypes];
};

struct UpdateNumbers;
struct SegmentUpdate;

/// The state of some weights: doubles where the weights are float64, else floats; null for what there is not.
struct WeightState {
  void *first, *second;
  void* master;  ///< of 16-bit weights
};

/// Updates `count` weights at `p` and their state from the gradients at `g`; returns how many gradients a limit
/// changed.
using UpdateFunction = std::int64_t (*)(const UpdateNumbers& numbers, const SegmentUpdate& segment, void* g, void* p,
                                        const WeightState& state, std::int64_t count);

/// Indexed by the gradients' DType, then the weights'; null where one alone is float64.
struct UpdateKernels {
  UpdateFunction update[kDTypes][kDTypes];
};

/// The kernels of one SIMD level. Pointers may have any alignment; nothing outside the `count` elements is touched.
struct CpuKernels {
  const char* name;
  const MeasureKernels* measure;
  const ScaleKernels* scale;
  const ClampKernels* clamp;
  const UpdateKernels* update;
};

/// Levels that this processor and its operating system can run: 0 to this number less one.
int usableLevels();

/// `level` is below usableLevels().
const CpuKernels& levelKernels(int level);

/// The sum of (|x| / maximum)^p per tile, all in double; 0 where the maximum is 0. Otherwise as MeasureFunction.
void measurePower(DType dtype, const void* x, std::int64_t count, double p, double maximum, double* partials,
                  std::int64_t planeStride);

/// One norm over many pieces.
struct Measure {
  const CpuKernels& kernels;
  NormKind norm;
  double p;              ///< of Power alone
  const double* maxima;  ///< one per segment, of Power alone

  unsigned operator()(const Piece& piece, const void* x, std::int64_t count, double* partials,
                      std::int64_t planeStride) const {
    if (norm == NormKind::Power) {
      measurePower(piece.dtype, x, count, p, maxima[piece.segment], partials, planeStride);
      return 0;
    }
    return kernels.measure->measure[ordinal(norm)][ordinal(piece.dtype)](x, count, partials, planeStride);
  }
};

}  // namespace gradclip
