// SPDX-License-Identifier: Apache-2.0
// Levels 4 and 5 of the canonical reduction, and the decision, in one launch: every warp folds runs, the last block folds
// what they left and decides.
#include "kernels/fold.cuh"
#include "kernels/grids.hpp"
#include "kernels/last_block.cuh"
#include "kernels/launch.hpp"

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

/// Whether something is to be done with each segment's own sum as soon as it is known.
__device__ __forceinline__ bool finishes(const DecideParams& p) {
  return p.rule.verdict == Verdict::Maxima || (p.rule.verdict == Verdict::PerSegment && p.parameters == 0);
}

/// Whether each segment is finished with its parameter's.
__device__ __forceinline__ bool finishesPairs(const DecideParams& p) {
  return p.rule.verdict == Verdict::PerSegment && p.parameters != 0;
}

__device__ __forceinline__ NormLimit limitOf(const DecideParams& p) {
  if (!hasNewNumbers(p.capture)) return p.rule.limit;
  const NormLimit* const now = &p.capture.parameters->limit;
  return {p.rule.limit.form,
          p.rule.limit.atNonFinite,
          loadGlobal<double>(&now->max),
          loadGlobal<double>(&now->length),
          loadGlobal<double>(&now->epsilon),
          loadGlobal<double>(&now->inverseScale)};
}

/// What multiplies a segment's unscaled elements, by its own norm.
template <bool Wide>
__device__ inline double ownCoefficient(const DecideParams& p, const NormLimit& limit, std::uint32_t segment) {
  const ScaledNorm norm = segmentNorm(p, segment).times(limit.inverseScale);
  double parameter = 0.0;
  if constexpr (Wide) {
    const std::uint32_t other = segment + p.parameters;
    const bool adaptive = limit.form == Form::Adaptive;
    if (adaptive && loadGlobal<std::uint8_t>(p.fold.segmentTypes + other) == 0) return 1.0;
    if (adaptive) parameter = segmentNorm(p, other).value();
  }
  return coefficientOf(limit, norm, loadGlobal<double>(p.fold.segmentElements + segment), parameter);
}

/// Leaves what a segment is multiplied by to the scale kernel.
__device__ inline void storeCoefficient(const DecideParams& p, std::uint32_t segment, double coefficient,
                                        double inverseScale) {
  const double product = ofScaled(coefficient, inverseScale);
  const unsigned types = loadGlobal<std::uint8_t>(p.fold.segmentTypes + segment);
  storeGlobal(p.fold.coefficients + segment, product);
  const unsigned found = (changes(coefficient, types) ? kClips : 0u) | (changes(product, types) ? kMultiplies : 0u);
  if (found != 0) atomicOr(&p.control->changes, found);
}

/// What is done once a segment's sum is known, by one thread.
template <bool Wide>
__device__ inline void finishSegment(const DecideParams& p, const NormLimit& limit, std::uint32_t segment) {
  if (p.rule.verdict == Verdict::Maxima) {
    storeGlobal(p.fold.maxima + segment, loadGlobal<double>(at(p.fold.sums, kMiddle, segment)));
  } else {
    storeCoefficient(p, segment, ownCoefficient<Wide>(p, limit, segment), limit.inverseScale);
  }
}

/// Tiles of a segment or of its parameter, whichever has more.
__device__ __forceinline__ std::uint32_t tilesOfPair(const DecideParams& p, std::uint32_t segment) {
  const std::uint32_t own = tilesOf(p.fold, segment), other = tilesOf(p.fold, segment + p.parameters);
  return own > other ? own : other;
}

/// The gradient's segment of a pair that a segment belongs to.
__device__ __forceinline__ std::uint32_t gradientOf(const DecideParams& p, std::uint32_t segment) {
  return segment < p.lastSegment ? segment : segment - p.parameters;
}

/// All tiles of a segment that has no more than one run of them.
__device__ inline void foldWhole(const DecideParams& p, std::uint32_t segment) {
  const std::uint32_t first = loadGlobal<std::uint32_t>(p.fold.segmentTile + segment), n = tilesOf(p.fold, segment);
  if (n <= 1) return;
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldStored(combineOf(p), at(p.fold.partials, plane, first), n);
    if (laneIndex() == 0) storeGlobal(at(p.fold.sums, plane, segment), sum);
  }
}

/// Up to 32 segments with their parameters: those of one tile each by a lane, others that one run holds by the warp.
__device__ inline void finishPairs(const DecideParams& p, std::uint32_t number) {
  const NormLimit limit = limitOf(p);
  const std::uint32_t first = p.firstSegment + number * kWarp, segment = first + laneIndex();
  const std::uint32_t tiles = segment < p.lastSegment ? tilesOfPair(p, segment) : kRun + 1;
  if (tiles <= 1) finishSegment<true>(p, limit, segment);
  const unsigned longer = __ballot_sync(kAllLanes, tiles > 1 && tiles <= kRun);
  for (std::uint32_t i = 0; i < kWarp; ++i) {
    if ((longer >> i & 1u) == 0) continue;
    foldWhole(p, first + i);
    foldWhole(p, first + i + p.parameters);
    if (laneIndex() == 0) finishSegment<true>(p, limit, first + i);
  }
}

/// A run of tiles of one segment.
template <bool Wide>
__device__ inline void foldTiles(const DecideParams& p, std::uint32_t number) {
  const Run run = loadGlobal<Run>(p.fold.runs + number);
  if (Wide && finishesPairs(p) && tilesOfPair(p, gradientOf(p, run.segment)) <= kRun) return;
  const std::uint32_t end = loadGlobal<std::uint32_t>(p.fold.segmentTile + run.segment + 1);
  const std::uint32_t n = end - run.firstTile < kRun ? end - run.firstTile : kRun;
  const bool whole = tilesOf(p.fold, run.segment) <= kRun;
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldStored(combineOf(p), at(p.fold.partials, plane, run.firstTile), n);
    double* const to = whole ? at(p.fold.sums, plane, run.segment) : at(p.fold.runSums, plane, number);
    if (laneIndex() == 0) storeGlobal(to, sum);
  }
  if (whole && finishes(p) && laneIndex() == 0) finishSegment<Wide>(p, limitOf(p), run.segment);
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
template <bool Wide>
__device__ inline void foldShortSegments(const DecideParams& p, std::uint32_t number) {
  const SegmentRun run = segmentRun(p, number);
  const NormLimit limit = limitOf(p);
  bool onlyShort = true;
  for (std::uint32_t i = laneIndex(); i < run.n; i += kWarp) {
    const bool isShort = tilesOf(p.fold, run.first + i) <= 1;
    if (isShort && finishes(p)) finishSegment<Wide>(p, limit, run.first + i);
    onlyShort = onlyShort && isShort;
  }
  const bool folds = __all_sync(kAllLanes, onlyShort) != 0 && !isPower(p);
  if (folds) foldSegments(p, number);
  if (laneIndex() == 0) storeGlobal(p.fold.groupDone + number, folds ? 1u : 0u);
}

/// A segment of many runs.
template <bool Wide>
__device__ inline void foldDeep(const DecideParams& p, std::uint32_t number) {
  const uint4 words = loadGlobal<uint4>(p.fold.deep + number);
  const Deep deep = bitCast<Deep>(words);
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldLevels(combineOf(p), at(p.fold.runSums, plane, deep.firstRun),
                                  at(p.fold.scratch, plane, deep.firstRun), deep.runs);
    if (laneIndex() == 0) storeGlobal(at(p.fold.sums, plane, deep.segment), sum);
  }
  if (laneIndex() == 0 && finishes(p)) finishSegment<Wide>(p, limitOf(p), deep.segment);
}

/// The largest of some segments' maxima, by one warp.
__device__ inline double largestMaximum(const DecideParams& p, const SegmentRun& run) {
  double largest = 0.0;
  for (std::uint32_t i = laneIndex(); i < run.n; i += kWarp) {
    largest = maximum(largest, loadGlobal<double>(p.fold.maxima + run.first + i));
  }
  for (int half = kWarp / 2; half > 0; half /= 2) largest = maximum(largest, __shfl_xor_sync(kAllLanes, largest, half));
  return largest;
}

/// The sum over the warp's lanes.
__device__ __forceinline__ double sumLanes(double sum) {
  for (int half = kWarp / 2; half > 0; half /= 2) sum += __shfl_xor_sync(kAllLanes, sum, half);
  return sum;
}

/// The power norm of some segments, by one warp. No order is kept: pow differs anyway.
__device__ inline ScaledNorm powerNorm(const DecideParams& p, const SegmentRun& run) {
  const double largest = largestMaximum(p, run);
  if (!(largest > 0.0) || !isFinite(largest)) return normPower(p.rule.p, largest, 0.0);
  const PowerUnit unit(largest);
  double sum = 0.0;
  for (std::uint32_t i = run.first + laneIndex(); i < run.first + run.n; i += kWarp) {
    sum += unit.term(p.rule.p, loadGlobal<double>(p.fold.maxima + i), loadGlobal<double>(at(p.fold.sums, kMiddle, i)));
  }
  return normPower(p.rule.p, largest, sumLanes(sum));
}

/// The norm over some segments whose runs' sums are in groupSums, by one warp.
__device__ inline ScaledNorm normOfRuns(const DecideParams& p, std::uint32_t runs) {
  Sums sums = {};
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldLevels(combineOf(p), at(p.fold.groupSums, plane, 0), at(p.fold.groupScratch, plane, 0), runs);
    (plane == kMiddle ? sums.middle : plane == kLow ? sums.low : sums.high) = sum;
  }
  return normOf(p.rule.norm, p.rule.p, sums, 0.0);
}

/// The norm over all segments, by one warp, from groupSums.
__device__ inline ScaledNorm totalNorm(const DecideParams& p) {
  if (p.rule.verdict == Verdict::Given) return {p.rule.given, 0};
  const SegmentRun all = {p.firstSegment, p.lastSegment - p.firstSegment};
  const ScaledNorm norm = isPower(p) ? powerNorm(p, all) : normOfRuns(p, runsIn(all.n));
  return norm.times(limitOf(p).inverseScale);
}

/// The norm over up to kRun segments, by one warp.
__device__ inline ScaledNorm normOfSegments(const DecideParams& p, const SegmentRun& run) {
  if (isPower(p)) return powerNorm(p, run);
  Sums sums = {};
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldStored(combineOf(p), at(p.fold.sums, plane, run.first), run.n);
    (plane == kMiddle ? sums.middle : plane == kLow ? sums.low : sums.high) = sum;
  }
  return normOf(p.rule.norm, p.rule.p, sums, 0.0);
}

/// The norm over more, by one warp; overwrites groupSums.
__device__ inline ScaledNorm normOfMany(const DecideParams& p, const SegmentRun& run) {
  if (isPower(p)) return powerNorm(p, run);
  const std::uint32_t runs = runsIn(run.n);
  __syncwarp(kAllLanes);  // other lanes may still read what the norm before left there
  for (std::uint32_t i = 0; i < runs; ++i) {
    const std::uint32_t left = run.n - i * kRun;
    for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
      const double sum = foldStored(combineOf(p), at(p.fold.sums, plane, run.first + i * kRun), left < kRun ? left : kRun);
      if (laneIndex() == 0) storeGlobal(at(p.fold.groupSums, plane, i), sum);
    }
  }
  __syncwarp(kAllLanes);
  return normOfRuns(p, runs);
}

__device__ __forceinline__ NormLimit limitOf(const Part* part) {
  return {static_cast<Form>(loadGlobal<std::int32_t>(&part->limit.form)),
          static_cast<AtNonFinite>(loadGlobal<std::int32_t>(&part->limit.atNonFinite)),
          loadGlobal<double>(&part->limit.max),
          loadGlobal<double>(&part->limit.length),
          loadGlobal<double>(&part->limit.epsilon),
          loadGlobal<double>(&part->limit.inverseScale)};
}

__device__ __forceinline__ SegmentRun segmentsOf(const Part* part) {
  const auto first = static_cast<std::uint32_t>(loadGlobal<std::int32_t>(&part->firstSegment));
  return {first, static_cast<std::uint32_t>(loadGlobal<std::int32_t>(&part->lastSegment)) - first};
}

/// Gives the segments of a part one coefficient, by one warp.
__device__ inline void finishPart(const DecideParams& p, const Part* part, const SegmentRun& run, const ScaledNorm& norm) {
  const NormLimit limit = limitOf(part);
  double elements = 0.0;
  for (std::uint32_t i = laneIndex(); i < run.n; i += kWarp) {
    elements += loadGlobal<double>(p.fold.segmentElements + run.first + i);
  }
  const double coefficient = coefficientOf(limit, norm.times(limit.inverseScale), sumLanes(elements), 0.0);
  for (std::uint32_t i = laneIndex(); i < run.n; i += kWarp) {
    storeCoefficient(p, run.first + i, coefficient, limit.inverseScale);
  }
}

/// Those parts that need no more room than registers, by all warps of the last block.
__device__ inline void finishShortParts(const DecideParams& p) {
  for (std::uint32_t i = warpInBlock(); i < p.parts.count; i += warpsInBlock()) {
    const Part* const part = p.parts.parts + i;
    const SegmentRun run = segmentsOf(part);
    if (loadGlobal<std::int32_t>(&part->perSegment) != 0) {
      const NormLimit limit = limitOf(part);
      for (std::uint32_t k = laneIndex(); k < run.n; k += kWarp) finishSegment<true>(p, limit, run.first + k);
    } else if (run.n <= kRun) {
      finishPart(p, part, run, normOfSegments(p, run));
    }
  }
}

/// The rest, by one warp, once groupSums are not needed any more.
__device__ inline void finishLongParts(const DecideParams& p) {
  for (std::uint32_t i = 0; i < p.parts.count; ++i) {
    const Part* const part = p.parts.parts + i;
    const SegmentRun run = segmentsOf(part);
    if (loadGlobal<std::int32_t>(&part->perSegment) != 0 || run.n <= kRun) continue;
    finishPart(p, part, run, normOfMany(p, run));
  }
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

__device__ inline Outcome outcomeOf(const DecideParams& p, const ScaledNorm& norm, unsigned changesSome) {
  const bool untouched = !norm.finite() && (p.rule.policy == Policy::Error || p.rule.policy == Policy::Skip);
  const bool refused = untouched && p.rule.policy == Policy::Error;
  const double none = bitCast<double>(std::uint64_t{Element<double>::kNaN});
  if (untouched) return {Mode::Untouched, p.rule.verdict == Verdict::Value ? none : 1.0, refused, false};
  if (p.rule.verdict == Verdict::PerSegment || p.rule.verdict == Verdict::Parts) {
    return {(changesSome & kMultiplies) != 0 ? Mode::PerSegment : Mode::Ones, none, false, (changesSome & kClips) != 0};
  }
  if (p.rule.verdict == Verdict::Value) return {Mode::Global, none, false, false};
  const NormLimit limit = limitOf(p);
  const double coefficient = coefficientOf(limit, norm, p.elements, 0.0, p.rule.verdict == Verdict::Given);
  return {Mode::Global, ofScaled(coefficient, limit.inverseScale), false, changes(coefficient, p.types)};
}

/// What a clip does about the norm, by one thread; `bad` is the first segment with a norm that is not finite, or -1.
__device__ inline void decide(const DecideParams& p, const ScaledNorm& norm, std::int32_t bad) {
  const bool zeroed = atomicExch(&p.control->zeroed, 0u) != 0;
  const unsigned changesSome = atomicExch(&p.control->changes, 0u);
  const Outcome outcome = outcomeOf(p, norm, changesSome);
  const bool isValue = p.rule.verdict == Verdict::Value;
  if (p.rule.verdict != Verdict::Norm) {
    storeGlobal(&p.decision->coefficient, outcome.coefficient);
    storeGlobal(&p.decision->mode, static_cast<std::uint32_t>(outcome.mode));
    storeGlobal(&p.decision->zero, zeroed ? 1u : 0u);
    storeGlobal(&p.finding->nonFinite, zeroed || !norm.finite() ? 1.0f : 0.0f);
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

/// Segments of many runs, with their parameters.
__device__ inline void finishDeepPairs(const DecideParams& p) {
  for (std::uint32_t i = p.firstDeep; i < p.lastDeep; ++i) {
    const std::uint32_t segment = bitCast<Deep>(loadGlobal<uint4>(p.fold.deep + i)).segment;
    const bool isParameter = segment >= p.lastSegment;
    if (isParameter && tilesOf(p.fold, segment - p.parameters) > kRun) continue;
    finishSegment<true>(p, limitOf(p), gradientOf(p, segment));
  }
}

/// After all runs of tiles are folded.
template <bool Wide>
__device__ inline void foldRest(const DecideParams& p, std::uint32_t groups) {
  for (std::uint32_t i = p.firstDeep + warpInBlock(); i < p.lastDeep; i += warpsInBlock()) foldDeep<Wide>(p, i);
  __syncthreads();
  if constexpr (Wide) {
    if (finishesPairs(p) && threadIdx.x == 0) finishDeepPairs(p);
    finishShortParts(p);
  }
  if (!isPower(p)) {
    for (std::uint32_t i = warpInBlock(); i < groups; i += warpsInBlock()) {
      if (loadGlobal<std::uint32_t>(p.fold.groupDone + i) == 0) foldSegments(p, i);
    }
  }
  __syncthreads();
}

/// Runs of 32 segments that are finished with their parameters.
GRADCLIP_HD inline std::uint32_t pairItems(const DecideParams& p) {
  return p.parameters == 0 ? 0 : (p.lastSegment - p.firstSegment + kWarp - 1) / kWarp;
}

/// Wide: for rules with parts or parameters too. Two blocks a multiprocessor leave 128 registers, of which sm_90 uses 88 and, wide,
/// 110; left to itself the compiler takes 64 and spills 88 and 404 bytes.
template <bool Wide>
__global__ void __launch_bounds__(kBlockThreads, 2) decideKernel(const DecideParams p) {
  const std::uint32_t runs = p.lastRun - p.firstRun, groups = runsIn(p.lastSegment - p.firstSegment);
  const std::uint32_t pairs = Wide && finishesPairs(p) ? pairItems(p) : 0;
  for (std::uint32_t i = warpIndex(); i < runs + groups + pairs; i += warpCount()) {
    if (i < runs) {
      foldTiles<Wide>(p, p.firstRun + i);
    } else if (i < runs + groups) {
      foldShortSegments<Wide>(p, i - runs);
    } else if constexpr (Wide) {
      finishPairs(p, i - runs - groups);
    }
  }
  if (!lastBlock(p.control)) return;
  foldRest<Wide>(p, groups);
  if (warpInBlock() != 0 || p.rule.verdict == Verdict::Maxima) return;
  const ScaledNorm norm = totalNorm(p);
  const std::int32_t bad = norm.finite() ? -1 : firstBadSegment(p);
  if constexpr (Wide) {
    finishLongParts(p);
    __syncwarp(kAllLanes);
  }
  if (laneIndex() == 0) decide(p, norm, bad);
}

}  // namespace

cudaError_t findDecideGrid(int device, Grids* grids) {
  const cudaError_t error = residentBlocks(device, decideKernel<true>, &grids->decideWide);
  return error == cudaSuccess ? residentBlocks(device, decideKernel<false>, &grids->decide) : error;
}

cudaError_t enqueueDecide(const Grids& grids, cudaStream_t stream, const DecideParams& params) {
  const bool wide = params.parameters != 0 || params.parts.count != 0;
  const std::uint64_t items = std::uint64_t{params.lastRun - params.firstRun} +
                              runsIn(params.lastSegment - params.firstSegment) + pairItems(params);
  const unsigned blocks = blocksFor(items, wide ? grids.decideWide : grids.decide);
  return launch(wide ? decideKernel<true> : decideKernel<false>, blocks, kBlockThreads, kLastBlockBytes, stream, params);
}

}  // namespace gradclip
