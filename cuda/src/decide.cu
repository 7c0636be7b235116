// SPDX-License-Identifier: Apache-2.0
// Levels 4 and 5 of the canonical reduction, and the decision, in one launch: every warp folds runs, the last block folds
// what they left and decides.
#include "fold.cuh"
#include "grids.hpp"
#include "last_block.cuh"
#include "launch.hpp"

namespace gradclip {
namespace {

__device__ __forceinline__ Combine combineOf(const DecideParams& p) {
  return {p.rule.norm == NormKind::Inf || p.rule.verdict == Verdict::Maxima};
}

__device__ __forceinline__ double* at(const Planes& planes, unsigned plane, std::uint32_t i) {
  return planes.values + plane * planes.stride + i;
}

__device__ __forceinline__ std::uint32_t tilesOf(const FoldTable& fold, std::uint32_t segment) {
  return loadGlobal<std::uint32_t>(fold.segmentTile + segment + 1) -
         loadGlobal<std::uint32_t>(fold.segmentTile + segment);
}

__device__ __forceinline__ Sums sumsOf(const FoldTable& fold, const Planes& planes, std::uint32_t i) {
  Sums sums = {0.0, loadGlobal<double>(at(planes, kMiddle, i)), 0.0};
  if (fold.planes > 1) {
    sums.low = loadGlobal<double>(at(planes, kLow, i));
    sums.high = loadGlobal<double>(at(planes, kHigh, i));
  }
  return sums;
}

__device__ __forceinline__ bool isPower(const DecideParams& p) {
  return p.rule.norm == NormKind::Power && p.rule.verdict != Verdict::Maxima;
}

__device__ inline ScaledNorm segmentNorm(const DecideParams& p, std::uint32_t segment) {
  const double largest = isPower(p) ? loadGlobal<double>(p.fold.maxima + segment) : 0.0;
  return normOf(p.rule.norm, p.rule.p, sumsOf(p.fold, p.fold.sums, segment), largest);
}

__device__ __forceinline__ bool changes(double coefficient, unsigned types) {
  return ((types & kHasFloat) != 0 && changesFloat(coefficient)) ||
         ((types & kHasDouble) != 0 && changesDouble(coefficient));
}

/// Whether something is to be done with each segment's own sum.
__device__ __forceinline__ bool finishes(const DecideParams& p) {
  return p.rule.verdict == Verdict::PerTensor || p.rule.verdict == Verdict::Maxima;
}

__device__ __forceinline__ double coefficientOf(const DecideParams& p, const ScaledNorm& norm) {
  if (!hasNewNumbers(p.capture)) return norm.coefficient(p.rule.maxNorm, p.rule.epsilon);
  const Parameters* const now = p.capture.parameters;
  return norm.coefficient(loadGlobal<double>(&now->maxNorm), loadGlobal<double>(&now->epsilon));
}

/// What is done once a segment's sum is known, by one thread.
__device__ inline void finishSegment(const DecideParams& p, std::uint32_t segment) {
  if (p.rule.verdict == Verdict::Maxima) {
    storeGlobal(p.fold.maxima + segment, loadGlobal<double>(at(p.fold.sums, kMiddle, segment)));
    return;
  }
  const double coefficient = coefficientOf(p, segmentNorm(p, segment));
  storeGlobal(p.fold.coefficients + segment, coefficient);
  if (changes(coefficient, loadGlobal<std::uint8_t>(p.fold.segmentTypes + segment))) atomicOr(&p.control->changes, 1u);
}

/// A run of tiles of one segment.
__device__ inline void foldTiles(const DecideParams& p, std::uint32_t number) {
  const Run run = loadGlobal<Run>(p.fold.runs + number);
  const std::uint32_t end = loadGlobal<std::uint32_t>(p.fold.segmentTile + run.segment + 1);
  const std::uint32_t n = end - run.firstTile < kRun ? end - run.firstTile : kRun;
  const bool whole = tilesOf(p.fold, run.segment) <= kRun;
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldStored(combineOf(p), at(p.fold.partials, plane, run.firstTile), n);
    double* const to = whole ? at(p.fold.sums, plane, run.segment) : at(p.fold.runSums, plane, number);
    if (laneIndex() == 0) storeGlobal(to, sum);
  }
  if (whole && finishes(p) && laneIndex() == 0) finishSegment(p, run.segment);
}

/// Up to kRun segments that a sum over segments adds up in one run.
struct SegmentRun {
  std::uint32_t first, n;
};

__device__ __forceinline__ SegmentRun segmentRun(const DecideParams& p, std::uint32_t number) {
  const std::uint32_t first = p.firstSegment + number * kRun;
  return {first, p.lastSegment - first < kRun ? p.lastSegment - first : kRun};
}

__device__ inline void foldSegments(const DecideParams& p, std::uint32_t number) {
  const SegmentRun run = segmentRun(p, number);
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldStored(combineOf(p), at(p.fold.sums, plane, run.first), run.n);
    if (laneIndex() == 0) storeGlobal(at(p.fold.groupSums, plane, number), sum);
  }
}

/// Finishes those of a run of segments that have one tile or none: their sums are there already. Where these are all, the
/// run is folded here too: a million rows are spread over the grid.
__device__ inline void foldShortSegments(const DecideParams& p, std::uint32_t number) {
  const SegmentRun run = segmentRun(p, number);
  bool onlyShort = true;
  for (std::uint32_t i = laneIndex(); i < run.n; i += kWarp) {
    const bool isShort = tilesOf(p.fold, run.first + i) <= 1;
    if (isShort && finishes(p)) finishSegment(p, run.first + i);
    onlyShort = onlyShort && isShort;
  }
  const bool folds = __all_sync(kAllLanes, onlyShort) != 0 && !isPower(p);
  if (folds) foldSegments(p, number);
  if (laneIndex() == 0) storeGlobal(p.fold.groupDone + number, folds ? 1u : 0u);
}

/// A segment of many runs.
__device__ inline void foldDeep(const DecideParams& p, std::uint32_t number) {
  const uint4 words = loadGlobal<uint4>(p.fold.deep + number);
  const Deep deep = bitCast<Deep>(words);
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldLevels(combineOf(p), at(p.fold.runSums, plane, deep.firstRun),
                                  at(p.fold.scratch, plane, deep.firstRun), deep.runs);
    if (laneIndex() == 0) storeGlobal(at(p.fold.sums, plane, deep.segment), sum);
  }
  if (laneIndex() == 0 && finishes(p)) finishSegment(p, deep.segment);
}

/// The largest of the segments' maxima, by one warp.
__device__ inline double largestMaximum(const DecideParams& p) {
  double largest = 0.0;
  for (std::uint32_t i = p.firstSegment + laneIndex(); i < p.lastSegment; i += kWarp) {
    largest = maximum(largest, loadGlobal<double>(p.fold.maxima + i));
  }
  for (int half = kWarp / 2; half > 0; half /= 2) largest = maximum(largest, __shfl_xor_sync(kAllLanes, largest, half));
  return largest;
}

/// The sum of the segments' powers, each relative to the largest maximum, by one warp. No order is kept: pow differs anyway.
__device__ inline double sumPowers(const DecideParams& p, double largest) {
  const PowerUnit unit(largest);
  double sum = 0.0;
  for (std::uint32_t i = p.firstSegment + laneIndex(); i < p.lastSegment; i += kWarp) {
    sum += unit.term(p.rule.p, loadGlobal<double>(p.fold.maxima + i), loadGlobal<double>(at(p.fold.sums, kMiddle, i)));
  }
  for (int half = kWarp / 2; half > 0; half /= 2) sum += __shfl_xor_sync(kAllLanes, sum, half);
  return sum;
}

/// The norm over all segments, by one warp, from groupSums.
__device__ inline ScaledNorm totalNorm(const DecideParams& p) {
  if (p.rule.verdict == Verdict::Given) return {p.rule.given, 0};
  if (isPower(p)) {
    const double largest = largestMaximum(p);
    return normPower(p.rule.p, largest, largest > 0.0 && isFinite(largest) ? sumPowers(p, largest) : 0.0);
  }
  const std::uint32_t groups = runsIn(p.lastSegment - p.firstSegment);
  Sums sums = {};
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldLevels(combineOf(p), at(p.fold.groupSums, plane, 0), at(p.fold.groupScratch, plane, 0), groups);
    (plane == kMiddle ? sums.middle : plane == kLow ? sums.low : sums.high) = sum;
  }
  return normOf(p.rule.norm, p.rule.p, sums, 0.0);
}

/// The first segment whose norm is not finite, by one warp.
__device__ inline std::int32_t firstBadSegment(const DecideParams& p) {
  for (std::uint32_t from = p.firstSegment; from < p.lastSegment; from += kWarp) {
    const std::uint32_t i = from + laneIndex();
    const unsigned bad = __ballot_sync(kAllLanes, i < p.lastSegment && !segmentNorm(p, i).finite());
    if (bad == 0) continue;
    std::int32_t first = static_cast<std::int32_t>(from);
    for (unsigned rest = bad; (rest & 1u) == 0; rest >>= 1) ++first;
    return first;
  }
  return -1;
}

/// Mode and coefficient that follow from the norm.
struct Outcome {
  Mode mode;
  double coefficient;
  bool refused, clipped;
};

__device__ inline Outcome outcomeOf(const DecideParams& p, const ScaledNorm& norm, bool changesSome) {
  const bool untouched = !norm.finite() && (p.rule.policy == Policy::Error || p.rule.policy == Policy::Skip);
  const bool refused = untouched && p.rule.policy == Policy::Error;
  const double none = bitCast<double>(std::uint64_t{Element<double>::kNaN});
  if (untouched) return {Mode::Untouched, p.rule.verdict == Verdict::Value ? none : 1.0, refused, false};
  if (p.rule.verdict == Verdict::PerTensor) return {Mode::PerTensor, none, false, changesSome};
  if (p.rule.verdict == Verdict::Value) return {Mode::Global, none, false, false};
  const double coefficient = coefficientOf(p, norm);
  return {Mode::Global, coefficient, false, changes(coefficient, p.types)};
}

/// What a clip does about the norm, by one thread; `bad` is the first segment with a norm that is not finite, or -1.
__device__ inline void decide(const DecideParams& p, const ScaledNorm& norm, std::int32_t bad) {
  const bool zeroed = atomicExch(&p.control->zeroed, 0u) != 0;
  const bool changesSome = atomicExch(&p.control->changes, 0u) != 0;
  const Outcome outcome = outcomeOf(p, norm, changesSome);
  const bool isValue = p.rule.verdict == Verdict::Value;
  if (p.rule.verdict != Verdict::Norm) {
    storeGlobal(&p.decision->coefficient, outcome.coefficient);
    storeGlobal(&p.decision->mode, static_cast<std::uint32_t>(outcome.mode));
    storeGlobal(&p.decision->zero, zeroed ? 1u : 0u);
  }
  if (p.slot == nullptr || (isValue && outcome.mode != Mode::Untouched)) return;
  Slot slot = {};
  slot.ticket = ticketOf(p.ticket, p.capture);
  slot.totalNorm = isValue ? bitCast<double>(std::uint64_t{Element<double>::kNaN}) : norm.value();
  slot.coefficient = outcome.coefficient;
  slot.flags = (outcome.clipped ? kClipped : 0u) | (zeroed || !norm.finite() ? kNonFinite : 0u) |
               (outcome.refused ? kRefused : 0u);
  slot.badSegment = bad;
  if (bad >= 0) slot.badNorm = segmentNorm(p, static_cast<std::uint32_t>(bad)).value();
  publish(p.slot, slot);
}

/// After all runs of tiles are folded.
__device__ inline void foldRest(const DecideParams& p, std::uint32_t groups) {
  for (std::uint32_t i = p.firstDeep + warpInBlock(); i < p.lastDeep; i += warpsInBlock()) foldDeep(p, i);
  __syncthreads();
  if (isPower(p)) return;
  for (std::uint32_t i = warpInBlock(); i < groups; i += warpsInBlock()) {
    if (loadGlobal<std::uint32_t>(p.fold.groupDone + i) == 0) foldSegments(p, i);
  }
  __syncthreads();
}

__global__ void __launch_bounds__(kBlockThreads) decideKernel(const DecideParams p) {
  const std::uint32_t runs = p.lastRun - p.firstRun, groups = runsIn(p.lastSegment - p.firstSegment);
  for (std::uint32_t i = warpIndex(); i < runs + groups; i += warpCount()) {
    if (i < runs) {
      foldTiles(p, p.firstRun + i);
    } else {
      foldShortSegments(p, i - runs);
    }
  }
  if (!lastBlock(p.control)) return;
  foldRest(p, groups);
  if (warpInBlock() != 0 || p.rule.verdict == Verdict::Maxima) return;
  const ScaledNorm norm = totalNorm(p);
  const std::int32_t bad = norm.finite() ? -1 : firstBadSegment(p);
  if (laneIndex() == 0) decide(p, norm, bad);
}

}  // namespace

cudaError_t findDecideGrid(int device, Grids* grids) { return residentBlocks(device, decideKernel, &grids->decide); }

cudaError_t enqueueDecide(const Grids& grids, cudaStream_t stream, const DecideParams& params) {
  const std::uint64_t groups = runsIn(params.lastSegment - params.firstSegment);
  const unsigned blocks = blocksFor(params.lastRun - params.firstRun + groups, grids.decide);
  return launch(decideKernel, blocks, kBlockThreads, kLastBlockBytes, stream, params);
}

}  // namespace gradclip
