// SPDX-License-Identifier: Apache-2.0
// What each kernel is given, and the functions that enqueue them.
#pragma once

#include <cuda_runtime.h>

#include "common/norms_and_coefficients.hpp"
#include "common/update.hpp"
#include "kernels/device_structs.hpp"
#include "gradclip/cuda.hpp"

namespace gradclip {

constexpr unsigned kBlockThreads = 256;

/// How many blocks of each kernel a device holds at once.
struct Grids {
  unsigned measure[4];  ///< by norm
  unsigned lagged[3];   ///< by norm
  unsigned decide, decideWide;
  unsigned scale, clamp;
  unsigned update[3];  ///< by form
  bool follow;  ///< whether decide and scale can be launched behind another kernel
};

/// Fails where the binary has no code for the current device.
cudaError_t findGrids(int device, Grids* grids);

struct MeasureParams {
  TileTable tiles;
  std::uint32_t firstTile, lastTile;
  Planes partials, sums;
  Control* control;
  const double* maxima;  ///< per segment, for Power
  double p;
  bool zeroNonFinite;
};

cudaError_t enqueueMeasure(const Grids& grids, cudaStream_t stream, NormKind norm, const MeasureParams& params);

/// Measures, and scales by the coefficient that a lagged history has before its step; for norms other than Power.
struct LaggedParams {
  MeasureParams measure;  ///< from tile 0 on
  const double* history;
  NormLimit limit;
  Capture capture;
};

cudaError_t enqueueLagged(const Grids& grids, cudaStream_t stream, NormKind norm, const LaggedParams& params);

/// What decide is for.
enum class Purpose : std::int32_t {
  Norm,       ///< the norm of the segments, and nothing else
  Maxima,     ///< each segment's maximum, for the power norm that is measured next
  Global,     ///< one coefficient
  PerSegment,  ///< a coefficient per segment
  Parts,      ///< coefficients by parts
  Given,      ///< one coefficient from a norm that is not measured
  Value       ///< whether a clamp may go on
};

/// Runs of segments with numbers of their own.
struct PartTable {
  const Part* parts;
  const std::uint32_t* ofSegment;  ///< of each gradient's segment
  std::uint32_t count;             ///< 0 where a rule has none
  bool ofSamples;                  ///< whether a part has samples
};

/// The fold of partials to segments, and of segments to one norm.
struct FoldTable {
  const Run* runs;
  const Deep* deep;
  const std::uint32_t* segmentTile;  ///< first tile of each segment, and one more at the end
  const std::uint32_t* segmentRun;   ///< first run of tiles of each segment, and one more at the end
  const std::uint8_t* segmentTypes;  ///< kHasFloat, kHasDouble
  const double* segmentElements;
  unsigned planes;
  Planes partials, runSums, scratch, sums, groupSums, groupScratch;
  double* maxima;
  double* coefficients;
};

struct DecideParams {
  FoldTable fold;
  std::uint32_t firstRun, lastRun, firstDeep, lastDeep, firstSegment, lastSegment;
  std::uint32_t weights;  ///< distance from a segment to its weight's; 0 where these are not measured
  unsigned types;            ///< kHasFloat, kHasDouble over all gradients
  double elements;           ///< of all gradients
  Purpose purpose;
  RuleNumbers rule;
  GivenNorm given;           ///< of Purpose::Given
  PartTable parts;
  bool remembers;  ///< a part has a history
  Control* control;
  Decision* decision;
  Finding* finding;
  Slot* slot;    ///< null where nobody reads a result
  Slot* result;  ///< what `slot` is where a kernel that follows passes it on
  std::int64_t ticket;
  Capture capture;
};

/// `behind`: right behind a kernel of the same clip, brought up early.
cudaError_t enqueueDecide(const Grids& grids, cudaStream_t stream, const DecideParams& params, bool behind);

struct ScaleParams {
  TileTable tiles;
  std::uint32_t tileCount;
  const Decision* decision;
  const double* coefficients;
  const Slot* result;  ///< what decide left, for the host
  Slot* slot;          ///< where the host reads it
};

cudaError_t enqueueScale(const Grids& grids, cudaStream_t stream, const ScaleParams& params, bool behind);

/// How the clips of a plan run in one launch; no blocks where they can't.
struct OneLaunch {
  unsigned blocks = 0;
  std::size_t sharedBytes = 0;
};

/// Whether so many tiles fit in the shared memory of blocks that the current device holds at once.
cudaError_t findOneLaunch(int device, std::uint32_t tiles, OneLaunch* found);

/// Measures, decides and scales; for norms other than Power, and neither parts nor weights.
struct OneLaunchParams {
  MeasureParams measure;
  DecideParams decide;
  ScaleParams scale;
};

cudaError_t enqueueOneLaunch(const OneLaunch& how, cudaStream_t stream, NormKind norm, const OneLaunchParams& params);

struct ClampLimits {
  double min, max;
  double inverseScale;  ///< multiplies first
  bool zeroNonFinite;
};

struct ClampParams {
  TileTable tiles;
  std::uint32_t tileCount;
  const Decision* decision;  ///< null where the clamp does not depend on what was measured
  ClampLimits limits;
  PartTable parts;  ///< where there are some, theirs are the limits
  Control* control;
  Slot* slot;
  std::int64_t ticket;
  Capture capture;
};

/// `strided` where a piece may be.
cudaError_t enqueueClamp(const Grids& grids, cudaStream_t stream, const ClampParams& params, bool strided);

/// Updates the weights of all gradients, each clipped on the way.
struct UpdateParams {
  TileTable tiles;
  std::uint32_t tileCount;
  std::uint32_t weights;        ///< distance from a gradient's piece to its weights'
  const Decision* decision;     ///< null where the step does not depend on what was measured
  const double* coefficients;   ///< per segment
  const Slot* result;           ///< of a norm rule: what decide left, for the host
  Slot* slot;                   ///< where the host reads it
  std::int64_t ticket;          ///< of a value rule
  bool clamps;                  ///< a value rule, which `limits` and `parts` are of
  ClampLimits limits;
  PartTable parts;
  Control* control;
  UpdateNumbers numbers;
  UpdateTable updates;
  Capture capture;
};

cudaError_t enqueueUpdate(const Grids& grids, cudaStream_t stream, const UpdateParams& params, bool behind);

/// New numbers for a captured clip.
struct SetNumbersParams {
  Capture capture;
  RuleNumbers rule;
};

cudaError_t enqueueSetNumbers(cudaStream_t stream, const SetNumbersParams& params);

/// New numbers for a captured step's update.
struct SetUpdateParams {
  Capture capture;
  UpdateNumbers numbers;
};

cudaError_t enqueueSetUpdate(cudaStream_t stream, const SetUpdateParams& params);

}  // namespace gradclip
