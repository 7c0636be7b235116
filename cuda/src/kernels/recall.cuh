// SPDX-License-Identifier: Apache-2.0
// One step of a history, by one warp: the threshold that follows from what it holds, and what it keeps of the step's
// norm. The arithmetic, and the places in the block of doubles, are those of dev.gradclip.internal.rule.Recall and
// HistoryForm; a new form is one more case in both. Lanes compute alike, and lane 0 stores.
#pragma once

#include "common/norms_and_coefficients.hpp"
#include "kernels/device_structs.hpp"
#include "kernels/device_words.cuh"

namespace gradclip {

/// What a rule does in this step.
struct Recalled {
  double limit;      ///< the threshold, infinity where it limits nothing; a target of rules that normalize
  double threshold;  ///< what the norm was compared with
  bool skips;        ///< the step is skipped
  bool ofAll;        ///< the fixed limit, by the norm over all, stands for this one
  bool lags;         ///< the coefficient does not follow from the step's norm
  double coefficient;
};

__device__ __forceinline__ HistoryHead loadHead(const double* block) {
  HistoryHead head = {};
  double* const to[] = {&head.form,      &head.window, &head.a,      &head.b,     &head.steps,
                        &head.threshold, &head.first,  &head.second, &head.third, &head.fourth};
  GRADCLIP_UNROLL
  for (std::uint32_t i = 0; i < kHistoryHead; ++i) *to[i] = loadGlobal<double>(block + i);
  return head;
}

/// What changes of a head, from `steps` on.
__device__ __forceinline__ void storeHead(double* block, const HistoryHead& head) {
  const double from[] = {head.steps, head.threshold, head.first, head.second, head.third, head.fourth};
  GRADCLIP_UNROLL
  for (std::uint32_t i = 0; i < 6; ++i) storeGlobal(block + 4 + i, from[i]);
}

namespace recalling {

__device__ __forceinline__ double least(double a, double b) { return a < b ? a : b; }

__device__ __forceinline__ double infinity() { return bitCast<double>(std::uint64_t{0x7ff} << 52); }

/// The number of entries below a value, of those in ascending order: a search in 33 parts, so that 1,000 entries take
/// two waits for memory.
__device__ inline std::uint32_t lowerBound(const double* entries, std::uint32_t count, double value) {
  std::uint32_t low = 0, high = count;
  while (low < high) {
    const std::uint32_t step = (high - low + kWarp) / (kWarp + 1);
    const std::uint32_t at = low + (laneIndex() + 1) * step - 1;
    const bool below = at < high && loadGlobal<double>(entries + at) < value;
    const auto found = static_cast<std::uint32_t>(__popc(__ballot_sync(kAllLanes, below)));
    const std::uint32_t next = low + (found + 1) * step - 1;
    if (found < kWarp && next < high) high = next;
    low += found * step;
  }
  return low;
}

constexpr std::uint32_t kAtOnce = 8;

/// Moves entries by one place, to higher ones or to lower ones. A lane loads all of a round before any lane stores.
template <bool kUp>
__device__ inline void shift(double* entries, std::uint32_t count) {
  constexpr std::uint32_t kRound = kAtOnce * kWarp;
  for (std::uint32_t done = 0; done < count; done += kRound) {
    const std::uint32_t n = count - done < kRound ? count - done : kRound;
    double* const from = entries + (kUp ? count - done - n : done);
    double loaded[kAtOnce];
    GRADCLIP_UNROLL
    for (std::uint32_t k = 0; k < kAtOnce; ++k) {
      const std::uint32_t i = k * kWarp + laneIndex();
      loaded[k] = i < n ? loadGlobal<double>(from + i) : 0.0;
    }
    __syncwarp(kAllLanes);
    GRADCLIP_UNROLL
    for (std::uint32_t k = 0; k < kAtOnce; ++k) {
      const std::uint32_t i = k * kWarp + laneIndex();
      if (i < n) storeGlobal(from + i + (kUp ? 1 : -1), loaded[k]);
    }
    __syncwarp(kAllLanes);
  }
}

__device__ __forceinline__ void storeOne(double* to, double value) {
  __syncwarp(kAllLanes);
  if (laneIndex() == 0) storeGlobal(to, value);
  __syncwarp(kAllLanes);
}

/// Keeps a norm after so many others, in place of the oldest where the window is full.
__device__ inline void keep(double* ring, std::uint32_t window, double norm, double before) {
  double* const sorted = ring + window;
  const auto next = static_cast<std::uint32_t>(static_cast<std::uint64_t>(before) % window);
  const bool full = before >= static_cast<double>(window);
  const std::uint32_t count = full ? window : static_cast<std::uint32_t>(before);
  std::uint32_t to = lowerBound(sorted, count, norm);
  if (!full) {
    shift<true>(sorted + to, count - to);
  } else {
    const std::uint32_t gone = lowerBound(sorted, count, loadGlobal<double>(ring + next));
    if (gone < to) {
      --to;
      shift<false>(sorted + gone + 1, to - gone);
    } else {
      shift<true>(sorted + to, gone - to);
    }
  }
  storeOne(sorted + to, norm);
  storeOne(ring + next, norm);
}

__device__ inline void fill(double* ring, std::uint32_t window, double norm) {
  for (std::uint32_t i = laneIndex(); i < 2 * window; i += kWarp) storeGlobal(ring + i, norm);
  __syncwarp(kAllLanes);
}

/// A quantile of the norms kept, of which there were so many; between two by a straight line.
__device__ inline double quantile(const HistoryHead& head, const double* ring, double kept) {
  const double* const sorted = ring + static_cast<std::uint32_t>(head.window);
  const double last = (kept < head.window ? kept : head.window) - 1.0;
  const double place = head.a * last, below = floor(place), weight = place - below;
  const double low = loadGlobal<double>(sorted + static_cast<std::uint32_t>(below));
  const double high = loadGlobal<double>(sorted + static_cast<std::uint32_t>(below < last ? below + 1.0 : last));
  const double range = high - low;
  return weight < 0.5 ? low + range * weight : high - range * (1.0 - weight);
}

__device__ inline double mean(const double* norms, std::uint32_t count) {
  double sum = 0.0;
  for (std::uint32_t i = 0; i < count; ++i) sum += loadGlobal<double>(norms + i);
  return sum / count;
}

__device__ inline double squares(const double* norms, std::uint32_t count, double mean) {
  double sum = 0.0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const double apart = loadGlobal<double>(norms + i) - mean;
    sum += apart * apart;
  }
  return sum;
}

__device__ inline void median(HistoryHead& head, double* norms, double norm) {
  if (!(head.steps > 0.0)) return;
  const auto period = static_cast<std::uint32_t>(head.window);
  auto count = static_cast<std::uint32_t>(head.first);
  const std::uint32_t to = lowerBound(norms, count, norm);
  shift<true>(norms + to, count - to);
  storeOne(norms + to, norm);
  ++count;
  const double step = head.steps;
  const bool early = step < head.window && (step == 10.0 || step == 20.0 || step == 40.0);
  if (early || count == period) {
    const std::uint32_t middle = count / 4 * 2;
    const double threshold = head.a * loadGlobal<double>(norms + (middle < count ? middle : count - 1));
    head.threshold = early ? threshold * 2.0 : threshold;
  }
  head.first = count == period ? 0.0 : static_cast<double>(count);
}

__device__ inline double zClip(HistoryHead& head, double* norms, double norm, double max) {
  const double zMax = head.b;
  if (head.steps < head.window) {
    const auto warmUp = static_cast<std::uint32_t>(head.window);
    storeOne(norms + static_cast<std::uint32_t>(head.steps), norm);
    head.threshold = max;
    if (head.steps + 1.0 < head.window) return max;
    head.first = mean(norms, warmUp);
    head.second = squares(norms, warmUp, head.first) / warmUp;
    return max;
  }
  const double center = head.first, deviation = sqrt(head.second);
  const double z = (norm - center) / (deviation + 1e-6);
  const double kept = z > zMax ? center + zMax * deviation / (z / zMax) : norm;
  const double threshold = least(kept, max);
  head.threshold = least(z > zMax ? kept : center + zMax * (deviation + 1e-6), max);
  head.first = head.a * center + (1.0 - head.a) * kept;
  const double apart = kept - head.first;
  head.second = head.a * head.second + (1.0 - head.a) * (apart * apart);
  return norm > threshold ? threshold : infinity();
}

__device__ inline double adaGc(HistoryHead& head, double norm) {
  const double gamma = head.first;
  if (gamma == 0.0) {
    head.first = norm;
    return infinity();
  }
  const double most = head.a * gamma;
  const bool clips = norm > most;
  head.threshold = most;
  head.first = head.b * gamma + (1.0 - head.b) * (clips ? most : norm);
  return clips ? most : infinity();
}

__device__ inline double growthCap(HistoryHead& head, double norm, double elements, const NormLimit& rule) {
  const double last = head.first, most = head.a * last;
  const bool isFree = last == 0.0 || norm < head.b * sqrt(elements);
  const bool grows = !isFree && norm / (last + rule.epsilon) > head.a;
  const double limit = least(grows ? most : infinity(), rule.max);
  head.threshold = least(isFree ? infinity() : most, rule.max);
  const double factor = limit / (norm + rule.epsilon);
  head.first = factor < 1.0 ? norm * factor : norm;
  return limit;
}

__device__ inline void stabilize(HistoryHead& head, double norm, double epsilon) {
  if (norm == 0.0) return;
  head.first = head.a * head.first + (1.0 - head.a) * norm;
  head.second = head.b * head.second + (1.0 - head.b) * (norm * norm);
  head.third *= head.a;
  head.fourth *= head.b;
  head.threshold = head.first / (1.0 - head.third) / (sqrt(head.second / (1.0 - head.fourth)) + epsilon);
}

__device__ inline bool skipsSpike(HistoryHead& head, double* norms, double norm) {
  const auto window = static_cast<std::uint32_t>(head.window);
  const std::uint32_t count = head.steps < head.window ? static_cast<std::uint32_t>(head.steps) : window;
  bool skips = false;
  if (count + 1.0 >= head.b) {
    const double center = mean(norms, count);
    const double most = head.a * sqrt(squares(norms, count, center) / (count - 1.0));
    skips = norm - center > most;
    head.threshold = center + most;
  }
  storeOne(norms + static_cast<std::uint64_t>(head.steps) % window, norm);
  return skips;
}

__device__ inline double lagged(const HistoryHead& head, const NormLimit& rule) {
  return head.steps == 0.0 ? 1.0 : least(1.0, rule.max / (head.first + rule.epsilon));
}

}  // namespace recalling

/// `clipped`: the norm after the fixed limit of all, for AdaGc. Where a gradient is not finite, nothing moves.
__device__ GRADCLIP_NOINLINE inline Recalled recall(double* block, const NormLimit& rule, double norm, double elements,
                                                    double clipped, bool moves) {
  namespace r = recalling;
  HistoryHead head = loadHead(block);
  double* const norms = block + kHistoryHead;
  const auto form = static_cast<HistoryForm>(static_cast<std::int32_t>(head.form));
  const auto window = static_cast<std::uint32_t>(head.window);
  const bool skipping = form == HistoryForm::SkipAbove || form == HistoryForm::SkipSpikes;
  // Larger norms, of float64 alone, would overflow when squared.
  if (!moves || !(norm <= 0x1p500)) {
    const double before = rule.form == Form::Normalize ? head.threshold : r::least(head.threshold, rule.max);
    const bool lags = form == HistoryForm::Lagged;
    return {skipping ? rule.max : before, head.threshold, false, false, lags, lags ? r::lagged(head, rule) : 1.0};
  }
  __syncwarp(kAllLanes);
  Recalled recalled = {rule.max, 0.0, false, false, false, 1.0};
  switch (form) {
    case HistoryForm::AutoClip:
      r::keep(norms, window, norm, head.steps);
      recalled.limit = r::least(r::quantile(head, norms, head.steps + 1.0), rule.max);
      head.threshold = recalled.limit;
      break;
    case HistoryForm::Quantile:
      if (head.steps > 0.0) recalled.limit = r::least(r::quantile(head, norms, head.steps), rule.max);
      __syncwarp(kAllLanes);
      r::keep(norms, window, norm, head.steps);
      head.threshold = recalled.limit;
      break;
    case HistoryForm::Percentile:
      if (head.steps == 0.0) r::fill(norms, window, norm);
      r::keep(norms, window, norm, head.steps + head.window);
      recalled.limit = r::least(loadGlobal<double>(norms + window + static_cast<std::uint32_t>(head.a)), rule.max);
      head.threshold = recalled.limit;
      break;
    case HistoryForm::Median:
      r::median(head, norms, norm);
      recalled.limit = r::least(head.threshold, rule.max);
      break;
    case HistoryForm::ZClip:
      recalled.limit = r::zClip(head, norms, norm, rule.max);
      break;
    case HistoryForm::AdaGc:
      if (head.steps < head.window) {
        recalled.ofAll = true;
        head.threshold = rule.max;
        if (clipped > 0.0 && (head.first == 0.0 || clipped < head.first)) head.first = clipped;
      } else {
        recalled.limit = r::adaGc(head, norm);
      }
      break;
    case HistoryForm::GrowthCap:
      recalled.limit = r::growthCap(head, norm, elements, rule);
      break;
    case HistoryForm::Stabilizer:
      r::stabilize(head, norm, rule.epsilon);
      recalled.limit = head.threshold;
      break;
    case HistoryForm::SkipAbove:
      recalled.skips = norm > head.a;
      head.threshold = head.a;
      break;
    case HistoryForm::SkipSpikes:
      recalled.skips = r::skipsSpike(head, norms, norm);
      break;
    case HistoryForm::Lagged:
      recalled.lags = true;
      recalled.coefficient = r::lagged(head, rule);
      head.first = head.steps == 0.0 ? norm : head.a * head.first + (1.0 - head.a) * norm;
      head.threshold = rule.max;
      break;
  }
  head.steps += 1.0;
  recalled.threshold = head.threshold;
  if (laneIndex() == 0) storeHead(block, head);
  return recalled;
}

/// A rule's numbers with the threshold, or the target, of this step.
__device__ __forceinline__ NormLimit limitBy(const NormLimit& rule, const Recalled& recalled) {
  NormLimit limit = rule;
  if (rule.form == Form::Normalize) {
    limit.length = rule.length * recalled.limit;
  } else {
    limit.max = recalled.limit;
  }
  return limit;
}

}  // namespace gradclip
