// SPDX-License-Identifier: Apache-2.0
// Levels 4 and 5 of the canonical reduction, and the decision.
//
// | stage | who | reads | writes |
// |---|---|---|---|
// | 1 | a warp a run of tiles | partials | runSums; of a segment that is one run: sums, coefficients |
// |   | a warp 32 segments of one tile each, a thread a segment | sums, as measure left them | coefficients |
// |   | a warp a group of 1024 segments of one tile each | sums | groupSums |
// | 2 | the last block, a warp a segment of many runs | runSums | sums, coefficients |
// | 3 | the last block | sums | the coefficients of samples, the other groupSums |
// | 4 | the last block | groupSums, sums, histories | histories, the coefficients of parts, Decision, Finding, Slot |
//
// One launch, where a kernel a stage would read better: a launch takes the host about 2 µs, and a clip from Java is to
// take 8 with measure and apply.
#pragma once

#include "kernels/fold.cuh"
#include "kernels/last_block.cuh"
#include "kernels/launches.hpp"
#include "kernels/recall.cuh"

namespace gradclip {

/// Whether a fold keeps the largest of its entries instead of their sum.
__device__ __forceinline__ bool keepsLargest(const DecideParams& p) {
  return p.rule.norm == NormKind::Inf || p.purpose == Purpose::Maxima;
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
  return p.rule.norm == NormKind::Power && p.purpose != Purpose::Maxima;
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
  return p.purpose == Purpose::Maxima || (p.purpose == Purpose::PerSegment && p.weights == 0);
}

/// Whether each segment is finished with its weight's.
__device__ __forceinline__ bool finishesPairs(const DecideParams& p) {
  return p.purpose == Purpose::PerSegment && p.weights != 0;
}

__device__ __forceinline__ NormLimit limitOf(const DecideParams& p) { return limitNow(p.capture, p.rule.limit); }

/// What multiplies a segment's unscaled elements, by its own norm.
template <bool Wide>
__device__ inline double ownCoefficient(const DecideParams& p, const NormLimit& limit, std::uint32_t segment) {
  const ScaledNorm norm = segmentNorm(p, segment).times(limit.inverseScale);
  double weight = 0.0;
  if constexpr (Wide) {
    const std::uint32_t other = segment + p.weights;
    const bool adaptive = limit.form == Form::Adaptive;
    if (adaptive && loadGlobal<std::uint8_t>(p.fold.segmentTypes + other) == 0) return 1.0;
    if (adaptive) weight = segmentNorm(p, other).value();
  }
  return coefficientOf(limit, norm, loadGlobal<double>(p.fold.segmentElements + segment), weight);
}

/// Leaves what a segment is multiplied by to the scale kernel.
__device__ inline void storeCoefficient(const DecideParams& p, std::uint32_t segment, double coefficient,
                                        double inverseScale) {
  const double applied = ofScaled(coefficient, inverseScale);
  storeGlobal(p.fold.coefficients + segment, applied);
  const unsigned types = loadGlobal<std::uint8_t>(p.fold.segmentTypes + segment);
  const unsigned bits = (changes(coefficient, types) ? kClips : 0u) | (changes(applied, types) ? kScales : 0u);
  if (bits != 0) atomicOr(&p.control->changes, bits);
}

/// What is done once a segment's sum is known, by one thread.
template <bool Wide>
__device__ inline void finishSegment(const DecideParams& p, const NormLimit& limit, std::uint32_t segment) {
  if (p.purpose == Purpose::Maxima) {
    storeGlobal(p.fold.maxima + segment, loadGlobal<double>(at(p.fold.sums, kMiddle, segment)));
  } else {
    storeCoefficient(p, segment, ownCoefficient<Wide>(p, limit, segment), limit.inverseScale);
  }
}

/// Tiles of a segment or of its weight, whichever has more.
__device__ __forceinline__ std::uint32_t tilesOfPair(const DecideParams& p, std::uint32_t segment) {
  const std::uint32_t own = tilesOf(p.fold, segment), other = tilesOf(p.fold, segment + p.weights);
  return own > other ? own : other;
}

/// The gradient's segment of a pair that a segment belongs to.
__device__ __forceinline__ std::uint32_t gradientOf(const DecideParams& p, std::uint32_t segment) {
  return segment < p.lastSegment ? segment : segment - p.weights;
}

/// Folds up to kRun entries of each plane into one, by one warp.
__device__ __forceinline__ void foldEachPlane(const DecideParams& p, Planes from, std::uint32_t first, std::uint32_t n,
                                              Planes to, std::uint32_t number) {
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldRun(keepsLargest(p), at(from, plane, first), n);
    if (laneIndex() == 0) storeGlobal(at(to, plane, number), sum);
  }
}

/// All tiles of a segment that has no more than one run of them.
__device__ inline void foldWhole(const DecideParams& p, std::uint32_t segment) {
  const std::uint32_t first = loadGlobal<std::uint32_t>(p.fold.segmentTile + segment), n = tilesOf(p.fold, segment);
  if (n <= 1) return;
  foldEachPlane(p, p.fold.partials, first, n, p.fold.sums, segment);
}

/// Up to 32 segments with their weights: those of one tile each by a lane, others that one run holds by the warp.
__device__ inline void finishPairs(const DecideParams& p, std::uint32_t number) {
  const NormLimit limit = limitOf(p);
  const std::uint32_t first = p.firstSegment + number * kWarp, segment = first + laneIndex();
  const std::uint32_t tiles = segment < p.lastSegment ? tilesOfPair(p, segment) : kRun + 1;
  if (tiles <= 1) finishSegment<true>(p, limit, segment);
  const unsigned longer = __ballot_sync(kAllLanes, tiles > 1 && tiles <= kRun);
  for (std::uint32_t i = 0; i < kWarp; ++i) {
    if ((longer >> i & 1u) == 0) continue;
    foldWhole(p, first + i);
    foldWhole(p, first + i + p.weights);
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
  foldEachPlane(p, p.fold.partials, run.firstTile, n, whole ? p.fold.sums : p.fold.runSums,
                whole ? run.segment : number);
  if (whole && finishes(p) && laneIndex() == 0) finishSegment<Wide>(p, limitOf(p), run.segment);
}

/// Segments that follow each other, or, of one sample, are `stride` apart.
struct SegmentRun {
  std::uint32_t first, n, stride = 1;

  __device__ std::uint32_t at(std::uint32_t i) const { return first + i * stride; }
};

__device__ __forceinline__ SegmentRun allSegments(const DecideParams& p) {
  return {p.firstSegment, p.lastSegment - p.firstSegment};
}

/// Those of a run's segments that level 4 adds up first.
__device__ __forceinline__ SegmentRun groupOf(const SegmentRun& run, std::uint32_t number) {
  const std::uint32_t before = number * kRun;
  return {run.at(before), run.n - before < kRun ? run.n - before : kRun, run.stride};
}

/// Folds a group of segments, by one warp.
__device__ inline void foldGroup(const DecideParams& p, const SegmentRun& group, std::uint32_t number) {
  foldEachPlane(p, p.fold.sums, group.first, group.n, p.fold.groupSums, number);
}

/// Folds a group of segments, of a sample too, by one warp.
__device__ inline void foldGroupOfPart(const DecideParams& p, const SegmentRun& group, std::uint32_t number) {
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldEvery(keepsLargest(p), at(p.fold.sums, plane, group.first), group.n, group.stride);
    if (laneIndex() == 0) storeGlobal(at(p.fold.groupSums, plane, number), sum);
  }
}

/// Finishes those of 32 segments that have one tile or none, by a thread each: their sums are there already.
template <bool Wide>
__device__ inline void finishShortSegments(const DecideParams& p, std::uint32_t number) {
  const std::uint32_t segment = p.firstSegment + number * kWarp + laneIndex();
  if (segment < p.lastSegment && tilesOf(p.fold, segment) <= 1) finishSegment<Wide>(p, limitOf(p), segment);
}

/// Whether all segments of a group have one tile or none, so that their sums are there before decide starts.
__device__ __forceinline__ bool onlyShort(const DecideParams& p, const SegmentRun& group) {
  return loadGlobal<std::uint32_t>(p.fold.segmentRun + group.first) ==
         loadGlobal<std::uint32_t>(p.fold.segmentRun + group.first + group.n);
}

/// Folds a group that is short, or is not: those that are short are spread over the grid, as a million rows must be,
/// and the last block folds the others. By one warp.
__device__ inline void foldGroupIf(const DecideParams& p, std::uint32_t number, bool isShort) {
  const SegmentRun group = groupOf(allSegments(p), number);
  if (onlyShort(p, group) == isShort) foldGroup(p, group, number);
}

/// A segment of many runs.
template <bool Wide>
__device__ inline void foldDeep(const DecideParams& p, std::uint32_t number) {
  const Deep deep = loadStruct(p.fold.deep + number);
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    const double sum = foldLevels(keepsLargest(p), at(p.fold.runSums, plane, deep.firstRun),
                                  at(p.fold.scratch, plane, deep.firstRun), deep.runs);
    if (laneIndex() == 0) storeGlobal(at(p.fold.sums, plane, deep.segment), sum);
  }
  if (laneIndex() == 0 && finishes(p)) finishSegment<Wide>(p, limitOf(p), deep.segment);
}

/// The sum over the warp's lanes.
__device__ __forceinline__ double sumLanes(double sum) {
  return acrossLanes(sum, [](double a, double b) { return a + b; });
}

/// The power norm of segments that are `stride` apart, by one warp, from their maxima and sums. No order is kept: pow
/// differs anyway. Called, for a kernel that holds it four times spills registers.
__device__ GRADCLIP_NOINLINE inline ScaledNorm powerNormOf(double power, const double* maxima, const double* sums,
                                                           std::uint32_t n, std::uint32_t stride) {
  double largest = 0.0;
  for (std::uint32_t i = laneIndex(); i < n; i += kWarp) {
    largest = maximum(largest, loadGlobal<double>(maxima + std::size_t{i} * stride));
  }
  largest = acrossLanes(largest, maximum);
  if (!(largest > 0.0) || !isFinite(largest)) return normPower(power, largest, 0.0);
  const PowerUnit unit(largest);
  double sum = 0.0;
  for (std::uint32_t i = laneIndex(); i < n; i += kWarp) {
    sum += unit.term(power, loadGlobal<double>(maxima + std::size_t{i} * stride),
                     loadGlobal<double>(sums + std::size_t{i} * stride));
  }
  return normPower(power, largest, sumLanes(sum));
}

__device__ __forceinline__ ScaledNorm powerNorm(const DecideParams& p, const SegmentRun& run) {
  return powerNormOf(p.rule.p, p.fold.maxima + run.first, at(p.fold.sums, kMiddle, run.first), run.n, run.stride);
}

/// The norm, not a power one, whose sum of each plane is what a function of the plane returns.
template <class SumOf>
__device__ __forceinline__ ScaledNorm normOfPlanes(const DecideParams& p, SumOf sumOf) {
  Sums sums = {};
  for (unsigned plane = 0; plane < p.fold.planes; ++plane) {
    (plane == kMiddle ? sums.middle : plane == kLow ? sums.low : sums.high) = sumOf(plane);
  }
  return normOf(p.rule.norm, p.rule.p, sums, 0.0);
}

/// The norm over some segments whose groups' sums are in groupSums, by one warp.
__device__ inline ScaledNorm normOfGroups(const DecideParams& p, std::uint32_t runs) {
  return normOfPlanes(p, [&](unsigned plane) {
    return foldLevels(keepsLargest(p), at(p.fold.groupSums, plane, 0), at(p.fold.groupScratch, plane, 0), runs);
  });
}

/// A value at the address that is negative or NaN counts as NaN.
__device__ inline double givenNorm(const GivenNorm& given) {
  if (given.address == 0) return given.value;
  const void* const at = reinterpret_cast<const void*>(static_cast<std::uintptr_t>(given.address));
  const double there = given.isFloat32 != 0 ? static_cast<double>(loadGlobal<float>(at)) : loadGlobal<double>(at);
  if (!(there >= 0.0)) return notANumber();
  return given.isSquared != 0 ? sqrt(there) : there;
}

/// The norm over all segments, by one warp, from groupSums.
__device__ inline ScaledNorm globalNorm(const DecideParams& p) {
  if (p.purpose == Purpose::Given) return {givenNorm(p.given), 0};
  const SegmentRun all = allSegments(p);
  const ScaledNorm norm = isPower(p) ? powerNorm(p, all) : normOfGroups(p, runsIn(all.n));
  return norm.times(limitOf(p).inverseScale);
}

/// The norm over up to kRun segments, by one warp.
__device__ inline ScaledNorm normOfSegments(const DecideParams& p, const SegmentRun& run) {
  if (isPower(p)) return powerNorm(p, run);
  return normOfPlanes(
      p, [&](unsigned plane) { return foldRun(keepsLargest(p), at(p.fold.sums, plane, run.first), run.n); });
}

__device__ __forceinline__ NormLimit limitOf(const Part* part) {
  return loadLimit(&part->limit, static_cast<Form>(loadGlobal<std::int32_t>(&part->limit.form)),
                   static_cast<AtNonFinite>(loadGlobal<std::int32_t>(&part->limit.atNonFinite)));
}

__device__ __forceinline__ SegmentRun segmentsOf(const Part* part) {
  const auto first = static_cast<std::uint32_t>(loadGlobal<std::int32_t>(&part->firstSegment));
  return {first, static_cast<std::uint32_t>(loadGlobal<std::int32_t>(&part->lastSegment)) - first};
}

/// Samples of a part whose segments have one norm for each sample; 0 where they have one together.
__device__ __forceinline__ std::uint32_t samplesOf(const Part* part) {
  const std::int32_t samples = loadGlobal<std::int32_t>(&part->samples);
  return samples > 1 ? static_cast<std::uint32_t>(samples) : 0;
}

/// The segments of one sample.
__device__ __forceinline__ SegmentRun sampleOf(const SegmentRun& part, std::uint32_t samples, std::uint32_t sample) {
  return {part.first + sample, part.n / samples, samples};
}

/// The norm over up to kRun segments of one sample, by one warp.
__device__ inline ScaledNorm normOfSample(const DecideParams& p, const SegmentRun& run) {
  if (isPower(p)) return powerNorm(p, run);
  return normOfPlanes(p, [&](unsigned plane) {
    return foldEvery(keepsLargest(p), at(p.fold.sums, plane, run.first), run.n, run.stride);
  });
}

__device__ __forceinline__ double* historyOf(const Part* part) {
  return reinterpret_cast<double*>(static_cast<std::uintptr_t>(loadGlobal<std::int64_t>(&part->history)));
}

/// What histories go by, beside the norm of their own elements.
struct OfAll {
  ScaledNorm norm;
  bool moves;  ///< no gradient was NaN or infinite
};

/// A part's coefficient from its norm and its number of elements; its history, where it has one, takes a step. By one
/// warp. Called, with the part's address and not its numbers: the kernel would spill registers otherwise.
__device__ GRADCLIP_NOINLINE inline double partCoefficient(const Part* part, const ScaledNorm scaled, double elements,
                                                           const OfAll* all) {
  const NormLimit limit = limitOf(part);
  double* const history = historyOf(part);
  const ScaledNorm norm = scaled.times(limit.inverseScale);
  if (history == nullptr) return coefficientOf(limit, norm, elements, 0.0);
  const double ofAll = coefficientOf(limit, all->norm, elements, 0.0), value = norm.value();
  const Recalled recalled = recall(history, limit, value, elements, value * ofAll, all->moves);
  return recalled.ofAll ? ofAll : coefficientOf(limitBy(limit, recalled), norm, elements, 0.0);
}

__device__ __forceinline__ double inverseScaleOf(const Part* part) {
  return loadGlobal<double>(&part->limit.inverseScale);
}

/// Every step-th segment's elements from one on: counts, whose sum is exact in any order.
__device__ inline double countElements(const DecideParams& p, const SegmentRun& run, std::uint32_t from,
                                       std::uint32_t step) {
  double elements = 0.0;
  for (std::uint32_t i = from; i < run.n; i += step)
    elements += loadGlobal<double>(p.fold.segmentElements + run.at(i));
  return elements;
}

/// Gives every step-th of a part's segments from one on the part's coefficient.
__device__ inline void storeCoefficients(const DecideParams& p, const SegmentRun& run, double coefficient,
                                         double inverseScale, std::uint32_t from, std::uint32_t step) {
  for (std::uint32_t i = from; i < run.n; i += step) storeCoefficient(p, run.at(i), coefficient, inverseScale);
}

/// Segments of parts in which each has a norm of its own, by all threads of the last block.
__device__ inline void finishOwnNorms(const DecideParams& p) {
  for (std::uint32_t i = p.firstSegment + threadIdx.x; i < p.lastSegment; i += blockDim.x) {
    const Part* const part = p.parts.parts + loadGlobal<std::uint32_t>(p.parts.ofSegment + i);
    if (loadGlobal<std::int32_t>(&part->perSegment) != 0) finishSegment<true>(p, limitOf(part), i);
  }
}

/// Parts of one norm over up to kRun segments, a warp each.
__device__ inline void finishShortParts(const DecideParams& p, const OfAll* all) {
  for (std::uint32_t i = warpInBlock(); i < p.parts.count; i += warpsInBlock()) {
    const Part* const part = p.parts.parts + i;
    const SegmentRun run = segmentsOf(part);
    if (loadGlobal<std::int32_t>(&part->perSegment) != 0 || run.n > kRun || samplesOf(part) != 0) continue;
    const double elements = sumLanes(countElements(p, run, laneIndex(), kWarp));
    const double coefficient = partCoefficient(part, normOfSegments(p, run), elements, all);
    storeCoefficients(p, run, coefficient, inverseScaleOf(part), laneIndex(), kWarp);
  }
}

/// Samples of up to kRun segments, a warp each.
__device__ inline void finishShortSamples(const DecideParams& p) {
  for (std::uint32_t i = 0; i < p.parts.count; ++i) {
    const Part* const part = p.parts.parts + i;
    const std::uint32_t samples = samplesOf(part);
    const SegmentRun all = segmentsOf(part);
    if (samples == 0 || all.n / samples > kRun) continue;
    for (std::uint32_t sample = warpInBlock(); sample < samples; sample += warpsInBlock()) {
      const SegmentRun run = sampleOf(all, samples, sample);
      const double elements = sumLanes(countElements(p, run, laneIndex(), kWarp));
      const double coefficient = partCoefficient(part, normOfSample(p, run), elements, nullptr);
      storeCoefficients(p, run, coefficient, inverseScaleOf(part), laneIndex(), kWarp);
    }
  }
}

/// What the threads of the last block share; tiles may lie behind it.
struct alignas(16) Shared {
  unsigned arrivedBefore;
  std::int32_t bad[kBlockThreads / kWarp];  ///< by warp
  double elements[kBlockThreads / kWarp];   ///< by warp
  double coefficient;                       ///< of a part
  ScaledNorm norm;
  OfAll all;
  Recalled recalled;  ///< of the history of all gradients
};

/// A norm over more segments, by all threads of the last block; overwrites groupSums.
__device__ inline void finishLong(const DecideParams& p, const Part* part, const SegmentRun& run, Shared& shared) {
  __syncthreads();  // the norm before is done with groupSums and what is shared
  const std::uint32_t groups = isPower(p) ? 0 : runsIn(run.n);
  for (std::uint32_t k = warpInBlock(); k < groups; k += warpsInBlock()) foldGroupOfPart(p, groupOf(run, k), k);
  const double elements = sumLanes(countElements(p, run, threadIdx.x, blockDim.x));
  if (laneIndex() == 0) shared.elements[warpInBlock()] = elements;
  __syncthreads();
  if (warpInBlock() == 0) {
    const ScaledNorm norm = isPower(p) ? powerNorm(p, run) : normOfGroups(p, groups);
    double sum = 0.0;
    for (unsigned warp = 0; warp < warpsInBlock(); ++warp) sum += shared.elements[warp];
    const double coefficient = partCoefficient(part, norm, sum, &shared.all);
    if (laneIndex() == 0) shared.coefficient = coefficient;
  }
  __syncthreads();
  storeCoefficients(p, run, shared.coefficient, inverseScaleOf(part), threadIdx.x, blockDim.x);
}

/// Parts and samples of one norm over more than kRun segments, one after the other.
__device__ inline void finishLongParts(const DecideParams& p, Shared& shared) {
  for (std::uint32_t i = 0; i < p.parts.count; ++i) {
    const Part* const part = p.parts.parts + i;
    const SegmentRun run = segmentsOf(part);
    const std::uint32_t samples = samplesOf(part), norms = samples == 0 ? 1 : samples;
    if (loadGlobal<std::int32_t>(&part->perSegment) != 0 || run.n / norms <= kRun) continue;
    for (std::uint32_t k = 0; k < norms; ++k) finishLong(p, part, sampleOf(run, norms, k), shared);
  }
}

/// The first segment whose norm is not finite, or -1, among 32 from one on.
__device__ __forceinline__ std::int32_t firstBadOf(const DecideParams& p, std::uint32_t from) {
  const std::uint32_t i = from + laneIndex();
  const unsigned bad = __ballot_sync(kAllLanes, i < p.lastSegment && !segmentNorm(p, i).finite());
  return bad == 0 ? -1 : static_cast<std::int32_t>(from) + __ffs(static_cast<int>(bad)) - 1;
}

/// The first of all, by the last block: each warp looks at every eighth 32.
__device__ inline std::int32_t firstBadSegment(const DecideParams& p, Shared& shared) {
  std::int32_t found = -1;
  std::uint32_t from = p.firstSegment + warpInBlock() * kWarp;
  for (; from < p.lastSegment && found < 0; from += warpsInBlock() * kWarp) found = firstBadOf(p, from);
  if (laneIndex() == 0) shared.bad[warpInBlock()] = found;
  __syncthreads();
  std::int32_t first = -1;
  for (unsigned warp = 0; warp < warpsInBlock(); ++warp) {
    const std::int32_t its = shared.bad[warp];
    if (its >= 0 && (first < 0 || its < first)) first = its;
  }
  return first;
}

/// Mode and coefficient that follow from the norm.
struct Outcome {
  Mode mode;
  double coefficient, clippedNorm;
  bool refused, clipped;
};

/// Whether the policy leaves every gradient as it is.
__device__ __forceinline__ bool leavesByPolicy(const DecideParams& p, const ScaledNorm& norm) {
  return !norm.finite() && (p.rule.policy == Policy::Error || p.rule.policy == Policy::Skip);
}

template <bool Wide>
__device__ inline Outcome outcomeOf(const DecideParams& p, const ScaledNorm& norm, const Recalled& recalled,
                                    unsigned changesSome) {
  const bool untouched = leavesByPolicy(p, norm);
  const bool refused = untouched && p.rule.policy == Policy::Error;
  const double none = notANumber();
  if (untouched) {
    const bool isValue = p.purpose == Purpose::Value;
    return {Mode::Untouched, isValue ? none : 1.0, isValue ? none : norm.value(), refused, false};
  }
  if (p.purpose == Purpose::PerSegment || p.purpose == Purpose::Parts) {
    return {(changesSome & kScales) != 0 ? Mode::PerSegment : Mode::Unchanged, none, none, false,
            (changesSome & kClips) != 0};
  }
  if (p.purpose == Purpose::Value) return {Mode::Global, none, none, false, false};
  NormLimit limit = limitOf(p);
  if (!Wide && p.rule.history != 0) {
    if (recalled.skips) return {Mode::Untouched, 1.0, norm.value(), false, false};
    limit = limitBy(limit, recalled);
  }
  const double coefficient = !Wide && p.rule.history != 0 && recalled.lags
                                 ? recalled.coefficient
                                 : coefficientOf(limit, norm, p.elements, 0.0, p.purpose == Purpose::Given);
  const bool clips = changes(coefficient, p.types);
  return {Mode::Global, ofScaled(coefficient, limit.inverseScale), clips ? norm.valueTimes(coefficient) : norm.value(),
          false, clips};
}

/// What a clip does about the norm, by one thread; `bad` is the first segment with a norm that is not finite, or -1.
template <bool Wide>
__device__ inline void decide(const DecideParams& p, const ScaledNorm& norm, const Recalled& recalled,
                              std::int32_t bad) {
  const bool zeroed = atomicExch(&p.control->zeroed, 0u) != 0;
  const unsigned changesSome = atomicExch(&p.control->changes, 0u);
  const Outcome outcome = outcomeOf<Wide>(p, norm, recalled, changesSome);
  const bool skipped = outcome.mode == Mode::Untouched && !outcome.refused;
  const bool isValue = p.purpose == Purpose::Value;
  if (p.purpose != Purpose::Norm) {
    storeStruct(p.decision, Decision{outcome.coefficient, outcome.mode, zeroed ? 1u : 0u});
    const double value = norm.value();
    const float nonFinite = zeroed || !norm.finite() ? 1.0f : 0.0f,
                inverse = static_cast<float>(1.0 / outcome.coefficient);
    storeStruct(p.finding, Finding{nonFinite, inverse, value, value * value, skipped ? 1.0f : 0.0f, 0.0f});
  }
  if (p.slot == nullptr || (isValue && outcome.mode != Mode::Untouched)) return;
  Slot slot = {};
  slot.ticket = ticketOf(p.ticket, p.capture);
  slot.globalNorm = isValue ? notANumber() : norm.value();
  slot.coefficient = outcome.coefficient;
  slot.clippedNorm = outcome.clippedNorm;
  slot.flags = (outcome.clipped ? kClipped : 0u) | (zeroed || !norm.finite() ? kNonFinite : 0u) |
               (outcome.refused ? kRefused : 0u) | (skipped ? kSkipped : 0u);
  slot.badSegment = bad;
  if (bad >= 0) slot.badNorm = segmentNorm(p, static_cast<std::uint32_t>(bad)).value();
  if (!Wide && p.rule.history != 0 && norm.finite() && !zeroed) {
    slot.flags |= kHasThreshold;
    slot.badNorm = recalled.threshold;
  }
  p.slot == p.result ? storeStruct(p.slot, slot) : publish(p.slot, slot);
}

/// Segments of many runs, with their weights.
__device__ inline void finishDeepPairs(const DecideParams& p) {
  for (std::uint32_t i = p.firstDeep + threadIdx.x; i < p.lastDeep; i += blockDim.x) {
    const std::uint32_t segment = loadStruct(p.fold.deep + i).segment;
    const bool isWeight = segment >= p.lastSegment;
    if (isWeight && tilesOf(p.fold, segment - p.weights) > kRun) continue;
    finishSegment<true>(p, limitOf(p), gradientOf(p, segment));
  }
}

/// Stages 2 and 3.
template <bool Wide>
__device__ inline void foldRest(const DecideParams& p, std::uint32_t groups) {
  for (std::uint32_t i = p.firstDeep + warpInBlock(); i < p.lastDeep; i += warpsInBlock()) foldDeep<Wide>(p, i);
  __syncthreads();
  if constexpr (Wide) {
    if (finishesPairs(p)) finishDeepPairs(p);
    if (p.parts.count != 0) finishOwnNorms(p);
    if (p.parts.ofSamples) finishShortSamples(p);
  }
  for (std::uint32_t i = warpInBlock(); i < groups; i += warpsInBlock()) foldGroupIf(p, i, false);
  __syncthreads();
}

/// Groups of 32 segments that are finished by a thread each.
GRADCLIP_HD inline std::uint32_t finishItems(const DecideParams& p) {
  const bool any = p.purpose == Purpose::Maxima || p.purpose == Purpose::PerSegment;
  return any ? (p.lastSegment - p.firstSegment + kWarp - 1) / kWarp : 0;
}

/// Groups of segments that are folded; a power norm adds up otherwise.
GRADCLIP_HD inline std::uint32_t groupItems(const DecideParams& p) {
  const bool folds = p.rule.norm != NormKind::Power && p.purpose != Purpose::Maxima;
  return folds ? runsIn(p.lastSegment - p.firstSegment) : 0;
}

/// Stage 1, by all warps of the grid.
template <bool Wide>
__device__ __forceinline__ void decideItems(const DecideParams& p, std::uint32_t groups) {
  const std::uint32_t runs = p.lastRun - p.firstRun, all = runs + groups + finishItems(p);
  for (std::uint32_t i = warpIndex(); i < all; i += warpCount()) {
    if (i < runs) {
      foldTiles<Wide>(p, p.firstRun + i);
    } else if (i < runs + groups) {
      foldGroupIf(p, i - runs, true);
    } else if (Wide && finishesPairs(p)) {
      finishPairs(p, i - runs - groups);
    } else {
      finishShortSegments<Wide>(p, i - runs - groups);
    }
  }
}

/// Stages 2 to 4, by the last block.
template <bool Wide>
__device__ __forceinline__ void decideLast(const DecideParams& p, std::uint32_t groups, Shared& shared) {
  foldRest<Wide>(p, groups);
  if (p.purpose == Purpose::Maxima) return;
  if (warpInBlock() == 0) {
    const ScaledNorm norm = globalNorm(p);
    if (laneIndex() == 0) shared.norm = norm;
  }
  __syncthreads();
  const ScaledNorm norm = shared.norm;
  const std::int32_t bad = norm.finite() ? -1 : firstBadSegment(p, shared);
  // One norm over all is not for the wide kernel; without a history nobody waits for memory here.
  const bool remembers = Wide ? p.remembers : p.rule.history != 0;
  if (remembers && threadIdx.x == 0) shared.all = {norm, norm.finite() && pollGlobal(&p.control->zeroed) == 0};
  if (remembers) __syncthreads();
  if constexpr (!Wide) {
    if (remembers && warpInBlock() == 0) {
      auto* const history = reinterpret_cast<double*>(static_cast<std::uintptr_t>(p.rule.history));
      const NormLimit limit = limitOf(p);
      const double value = norm.value();
      const Recalled recalled =
          recall(history, limit, value, p.elements, recalling::least(value, limit.max), shared.all.moves);
      if (laneIndex() == 0) shared.recalled = recalled;
    }
    if (remembers) __syncthreads();
  }
  if constexpr (Wide) {
    finishShortParts(p, &shared.all);
    finishLongParts(p, shared);
    __syncthreads();
  }
  if (threadIdx.x == 0) decide<Wide>(p, norm, shared.recalled, bad);
}

}  // namespace gradclip
