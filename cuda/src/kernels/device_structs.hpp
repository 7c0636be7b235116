// SPDX-License-Identifier: Apache-2.0
// What a plan keeps in device memory, as host and kernels see it.
#pragma once

#include <cstdint>

#include "common/update.hpp"
#include "gradclip/cuda.hpp"
#include "gradclip/dtype.hpp"

namespace gradclip {

/// One run of elements on the device, contiguous but for a unit along an axis.
struct alignas(16) DevicePiece {
  std::uint64_t address;     ///< 0 for a tensor that is absent this step
  std::uint64_t bytes;       ///< 0 for that, too
  std::uint32_t firstTile;   ///< in the plan
  std::int32_t segment;
  std::uint32_t wholeTiles;  ///< that come first and lie at multiples of 16 bytes
  std::uint16_t dtype;         ///< of 8 bits it costs an update a load more a tile
  std::uint16_t onlyTile : 1;  ///< its segment has one tile: the partial is the segment's sum
  std::uint16_t strided : 15;  ///< 0: its elements lie side by side; else which Strided before the pieces is its
};

constexpr std::uint16_t kMostStrided = 0x7fff;

static_assert(sizeof(DevicePiece) == 32, "two 16-byte loads");

/// Elements in blocks, in bytes. The different ones that pieces have lie before the first piece, the first of them
/// last: a pointer of their own in TileTable moves the other numbers of a launch, and made clamp spill 100 bytes of
/// registers.
struct alignas(16) Strided {
  std::uint64_t inner;   ///< of a block
  std::uint64_t stride;  ///< between the beginnings of two blocks

  bool operator==(const Strided& other) const { return inner == other.inner && stride == other.stride; }
};

/// Tiles, each for one warp, however short. Eight short tiles to a warp doubled the length of each kernel, and pay only
/// where there are more short tensors than the device holds warps, which is thousands.
struct TileTable {
  const DevicePiece* pieces;
  const std::uint32_t* pieceOfTile;
};

/// The steps of one tensor so far.
struct alignas(16) TensorProgress {
  std::int64_t steps;
  double power1, power2;  ///< the products of its betas
  double unused;
};

static_assert(sizeof(TensorProgress) == 32, "layout that Java reads and writes");

/// Where a gradient's piece has its state.
struct alignas(16) UpdatePiece {
  std::uint64_t state;  ///< bytes from the start of each slot
  std::uint32_t tensor;
  std::uint32_t unused;
};

/// What updates keep on the device: momentum, or two averages, of every weight, its master, and the steps of each
/// tensor.
struct UpdateTable {
  const UpdatePiece* pieces;  ///< one for each of the gradients'
  TensorProgress* progress;
  const std::uint32_t* firstPiece;  ///< of each tensor, and one more at the end
  std::uint32_t tensors;
  std::uint64_t slots[2];  ///< addresses
  std::uint64_t master;    ///< that of master weights; 0 without them
};

/// Per tile or per segment: the middle plane, then, where a piece is FLOAT64, the low and the high one at `stride`.
struct Planes {
  double* values;
  std::uint64_t stride;
};

constexpr unsigned kMiddle = 0, kLow = 1, kHigh = 2;

/// Entries of one level of the fold that are added up by one warp.
constexpr unsigned kRun = 1024;

/// A run of tiles of a segment with more than one tile.
struct alignas(8) Run {
  std::uint32_t segment;
  std::uint32_t firstTile;
};

/// A segment of more than one run.
struct alignas(16) Deep {
  std::uint32_t segment, firstRun, runs, unused;
};

/// What phases tell each other; all 0 between calls but for the decision.
struct Control {
  unsigned arrived;
  unsigned passages;  ///< times that blocks which waited for the last one were let go on; never 0 again
  unsigned zeroed;   ///< measure met a non-finite element that ZERO counts as 0
  unsigned changes;  ///< kClips, kScales of all coefficients per segment
  unsigned long long changed;
};

/// Bits of Control::changes: a coefficient changes elements, unscaling not counted; and counted.
constexpr unsigned kClips = 1, kScales = 2;

enum class Mode : std::uint32_t {
  Global = 0,
  PerSegment = 1,
  Untouched = 2,  ///< by policy, or because a history skips the step
  Unchanged = 3   ///< a coefficient per segment, none of which changes an element
};

/// What decide tells apply.
struct alignas(16) Decision {
  double coefficient;
  Mode mode;
  std::uint32_t zero;  ///< non-finite elements become 0
};

/// What decide leaves for kernels of others: a loss scaler's, an optimizer's, a collective's.
struct alignas(16) Finding {
  float nonFinite;           ///< 1 where a gradient was not finite, else 0
  float inverseCoefficient;  ///< 1 / coefficient
  double norm;               ///< as the result has it
  double squaredNorm;
  float skip;  ///< 1 where everything was left as it is, by the policy or by a history, else 0
  float unused;
};

static_assert(sizeof(Finding) == 32, "layout that Java reads");

/// The numbers of a captured step's update.
struct alignas(16) CapturedUpdate {
  UpdateNumbers numbers;
  std::int64_t owner;  ///< as that of Numbers
  std::int64_t unused;
};

/// What a captured clip or step reads anew each time its graph runs.
struct alignas(16) Numbers {
  NormLimit limit;
  double min, max;
  std::int64_t owner;    ///< the captured clip whose numbers these are; another still has those of its capture
  std::int64_t replays;  ///< results so far: the ticket of the last one
  CapturedUpdate update;
};

/// A captured clip or step, to its kernels; null numbers where it is not captured.
struct Capture {
  Numbers* numbers;
  std::int64_t id;  ///< above 0, never the same again in a plan
};

/// Captured clips and steps that a plan has room for.
constexpr unsigned kCaptures = 16;

/// What a history is of; the ordinals are those of dev.gradclip.internal.rule.HistoryForm.
enum class HistoryForm : std::int32_t {
  AutoClip = 0,
  Quantile = 1,
  Percentile = 2,
  Median = 3,
  ZClip = 4,
  AdaGc = 5,
  GrowthCap = 6,
  Stabilizer = 7,
  SkipAbove = 8,
  SkipSpikes = 9,
  Lagged = 10
};

/// The head of a block; the norms it keeps follow.
struct HistoryHead {
  double form, window, a, b, steps, threshold, first, second, third, fourth;
};

constexpr std::uint32_t kHistoryHead = sizeof(HistoryHead) / sizeof(double);

/// One result, in mapped host memory.
struct alignas(64) Slot {
  std::int64_t ticket;  ///< written last
  double globalNorm;
  double coefficient;
  std::int64_t changed;  ///< elements, by a clamp
  std::uint32_t flags;
  std::int32_t badSegment;
  double badNorm;      ///< with kHasThreshold, where none is bad, the threshold that a history had for all gradients
  std::int64_t begun;  ///< the ticket, written first: a reader that finds another there afterwards has read a mixture
  double clippedNorm;  ///< the norm after the clip; NaN where coefficients differ
};

static_assert(sizeof(Slot) == 64, "layout that Java reads");

constexpr std::uint32_t kClipped = 1, kNonFinite = 2, kRefused = 4, kSkipped = 8, kHasThreshold = 16;

constexpr unsigned kSlots = 256;

/// Bits per segment: it has elements that are multiplied in float, in double.
constexpr unsigned kHasFloat = 1, kHasDouble = 2;

}  // namespace gradclip
