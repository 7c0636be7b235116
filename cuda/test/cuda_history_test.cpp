// SPDX-License-Identifier: Apache-2.0
// Histories against plain readings of their formulas: the norms kept in a list, sorted anew in each step.
#include <cmath>
#include <cstring>
#include <limits>

#include "cuda_support.hpp"

using gradclip::HistoryForm;

namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

/// A history's form and numbers, as dev.gradclip.internal.rule.HistoryForm writes them.
struct Numbers {
  HistoryForm form;
  int window;
  double a, b;
};

struct Expected {
  double limit = kNone;
  bool skips = false;
};

/// What a rule without a fixed limit does, step after step.
class Reading {
 public:
  explicit Reading(const Numbers& numbers) : is_(numbers) {}

  Expected step(double n) {
    const double steps = static_cast<double>(all_.size());
    all_.push_back(n);
    switch (is_.form) {
      case HistoryForm::AutoClip:
        return {quantile(last(all_.size())), false};
      case HistoryForm::Quantile:
        return {steps == 0.0 ? kNone : quantile(last(all_.size() - 1)), false};
      case HistoryForm::Percentile: {
        std::vector<double> filled(static_cast<std::size_t>(is_.window), all_[0]);
        filled.insert(filled.end(), all_.begin(), all_.end());
        filled.erase(filled.begin(), filled.end() - is_.window);
        std::sort(filled.begin(), filled.end());
        return {filled[static_cast<std::size_t>(is_.a)], false};
      }
      case HistoryForm::Median:
        return {median(), false};
      case HistoryForm::GrowthCap:
        return {growthCap(n), false};
      case HistoryForm::SkipSpikes:
        return {kNone, spikes(n)};
      default:
        FAIL("no such reading");
    }
    return {};
  }

 private:
  /// The last norms before a place, in ascending order.
  std::vector<double> last(std::size_t before) const {
    const std::size_t window = static_cast<std::size_t>(is_.window), from = before > window ? before - window : 0;
    std::vector<double> kept(all_.begin() + static_cast<std::ptrdiff_t>(from),
                             all_.begin() + static_cast<std::ptrdiff_t>(before));
    std::sort(kept.begin(), kept.end());
    return kept;
  }

  double quantile(const std::vector<double>& sorted) const {
    const double place = is_.a * static_cast<double>(sorted.size() - 1), below = std::floor(place),
                 weight = place - below;
    const auto at = static_cast<std::size_t>(below);
    const double low = sorted[at], high = sorted[at + 1 < sorted.size() ? at + 1 : at];
    return weight < 0.5 ? low + (high - low) * weight : high - (high - low) * (1.0 - weight);
  }

  double median() {
    const std::size_t counted = all_.size() - 1, period = static_cast<std::size_t>(is_.window);
    if (counted == 0) return threshold_;
    const bool early = counted < period && (counted == 10 || counted == 20 || counted == 40);
    const std::size_t in = (counted - 1) % period + 1;
    if (early || in == period) {
      std::vector<double> sorted(all_.end() - static_cast<std::ptrdiff_t>(in), all_.end());
      std::sort(sorted.begin(), sorted.end());
      threshold_ = is_.a * sorted[std::min(in / 4 * 2, in - 1)] * (early ? 2.0 : 1.0);
    }
    return threshold_;
  }

  double growthCap(double n) {
    const double before = before_;
    before_ = n;
    if (before == 0.0 || !(n / (before + kEpsilon) > is_.a)) return kNone;
    before_ = n * (is_.a * before / (n + kEpsilon));
    return is_.a * before;
  }

  bool spikes(double n) const {
    const std::size_t window = static_cast<std::size_t>(is_.window), count = std::min(all_.size() - 1, window);
    if (static_cast<double>(count) + 1.0 < is_.b) return false;
    // In the order in which the ring holds them.
    std::vector<double> ring(count);
    for (std::size_t i = all_.size() - 1 - count; i < all_.size() - 1; ++i) ring[i % window] = all_[i];
    double sum = 0.0, squares = 0.0;
    for (double x : ring) sum += x;
    const double mean = sum / static_cast<double>(count);
    for (double x : ring) squares += (x - mean) * (x - mean);
    return n - mean > is_.a * std::sqrt(squares / (static_cast<double>(count) - 1.0));
  }

 public:
  static constexpr double kEpsilon = 1e-8;

 private:
  Numbers is_;
  std::vector<double> all_;
  double threshold_ = kNone, before_ = 0.0;
};

std::vector<std::uint8_t> bytesOf(const std::vector<double>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(double));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<double> begun(const Numbers& numbers) {
  std::vector<double> block(gradclip::kHistoryHead + 2 * static_cast<std::size_t>(numbers.window));
  block[0] = static_cast<double>(numbers.form);
  block[1] = numbers.window;
  block[2] = numbers.a;
  block[3] = numbers.b;
  block[5] = kNone;
  return block;
}

/// 2 gradients of FLOAT64 whose norm, the larger of the two, is what is given.
std::vector<Tensor> gradientsOf(double norm) {
  return {{DType::Float64, {gradclip::bitCast<std::uint64_t>(norm)}},
          {DType::Float64, {gradclip::bitCast<std::uint64_t>(norm / 2)}}};
}

double normAt(int step) {
  const double x = 1.0 + 0.25 * std::sin(static_cast<double>(step * step));
  return step % 17 == 16 ? 20.0 * x : step % 23 == 5 ? 0.0 : x;
}

void check(const Numbers& numbers, int steps) {
  Bound bound(gradientsOf(1.0));
  const std::vector<double> block = begun(numbers);
  std::int64_t address = 0;
  REQUIRE_OK(bound->createHistory(static_cast<std::int64_t>(block.size() * sizeof(double)), &address));
  writeDevice(address, bytesOf(block));
  Rule rule = normRule(Granularity::All, kInfNorm, kNone, Reading::kEpsilon, Policy::Propagate);
  rule.history = address;
  Reading reading(numbers);
  for (int step = 0; step < steps; ++step) {
    INFO("form " << static_cast<int>(numbers.form) << ", step " << step);
    const double norm = normAt(step);
    bound.tensors = gradientsOf(norm);
    bound.restore();
    const Slot slot = bound.clip(rule);
    const Expected expected = reading.step(norm);
    CHECK(slot.globalNorm == norm);
    CHECK(has(slot, gradclip::kSkipped) == expected.skips);
    CHECK(has(slot, gradclip::kHasThreshold));
    const double wanted =
        norm == 0.0 || expected.limit == kNone ? 1.0 : std::min(1.0, expected.limit / (norm + Reading::kEpsilon));
    CHECK(slot.coefficient == wanted);
    CHECK(bound.now(0)[0] == gradclip::bitCast<std::uint64_t>(norm * wanted));
  }
  // A gradient that is not finite moves nothing.
  const std::vector<std::uint8_t> before = readDevice(address, block.size() * sizeof(double));
  bound.tensors = gradientsOf(std::nan(""));
  bound.restore();
  CHECK(has(bound.clip(rule), gradclip::kNonFinite));
  CHECK(readDevice(address, block.size() * sizeof(double)) == before);
}

}  // namespace

TEST_CASE("order statistics of the last norms") {
  // 1 and 2, what one round of a warp searches and moves, and what it does not.
  for (int window : {1, 2, 3, 32, 33, 40, 300}) {
    check({HistoryForm::AutoClip, window, 0.3, 0.0}, 2 * window + 20);
    check({HistoryForm::Quantile, window, 0.9, 0.0}, 2 * window + 20);
    check({HistoryForm::Percentile, window, static_cast<double>(window / 3), 0.0}, 2 * window + 20);
  }
  check({HistoryForm::AutoClip, 7, 0.0, 0.0}, 30);
  check({HistoryForm::AutoClip, 7, 1.0, 0.0}, 30);
}

TEST_CASE("medians") {
  check({HistoryForm::Median, 1, 1.2, 0.0}, 12);
  check({HistoryForm::Median, 5, 1.2, 0.0}, 60);
  check({HistoryForm::Median, 50, 0.9, 0.0}, 160);
}

TEST_CASE("growth and spikes") {
  check({HistoryForm::GrowthCap, 0, 1.05, 0.0}, 60);
  check({HistoryForm::SkipSpikes, 6, 1.5, 4.0}, 60);
  check({HistoryForm::SkipSpikes, 40, 3.0, 10.0}, 100);
}
