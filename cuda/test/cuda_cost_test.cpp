// SPDX-License-Identifier: Apache-2.0
// How long the chains of dependent loads are in the compiler's own code, for few tensors and many: a load that waits
// for another where it need not is a failing test.
#include <cstdlib>
#include <cstring>

#include "common/update.hpp"
#include "cost.hpp"
#include "cuda_support.hpp"

using gradclip::ptx::costOf;
using gradclip::ptx::KernelCost;

namespace {

const char* const kMeasure = "measureKernelINS_9SquareSum";
const char* const kDecide = "decideKernelILb0";
const char* const kScale = "scaleKernel";
const char* const kLagged = "laggedKernelINS_9SquareSum";
const char* const kOneLaunch = "oneLaunchKernelINS_9SquareSum";

/// Clips so many tensors of so many elements, which are so many tiles, and counts what a clip costs a thread.
struct Clipped {
  std::uint32_t tiles;

  Clipped(std::size_t tensors, std::size_t elements, Granularity granularity) {
    const auto tile = static_cast<std::size_t>(gradclip::tileElements(DType::Float32));
    tiles = static_cast<std::uint32_t>(tensors * ((elements + tile - 1) / tile));
    Bound bound(std::vector<Tensor>(tensors, Tensor{DType::Float32, normal(DType::Float32, elements, 1)}));
    gradclip::ptx::resetCosts();
    bound.clip(normRule(granularity, kL2, 1e-3, 0, Policy::Propagate));
    for (const char* kernel : {kMeasure, kDecide, kScale}) CHECK(costOf(kernel).launches == 1);
  }

  /// Tiles that the warp with most of them has.
  std::uint32_t tilesOf(const KernelCost& cost) const {
    const auto warps = static_cast<std::uint32_t>(cost.threads / 32);
    return (tiles + warps - 1) / warps;
  }
};

}  // namespace

TEST_CASE("loads that wait for others: two a tile, 16 a decision, whatever the number of tensors") {
  for (Granularity granularity : {Granularity::All, Granularity::Segment}) {
    for (auto [tensors, elements] : {std::pair<std::size_t, std::size_t>{1, 4}, {1000, 4}, {10000, 4}, {161, 4096},
                                     {1, 2048 * 1024}, {100, 2048 * 100}}) {
      const Clipped clipped(tensors, elements, granularity);
      const KernelCost measure = costOf(kMeasure), decide = costOf(kDecide), scale = costOf(kScale);
      INFO(tensors << " tensors of " << elements << " elements, granularity " << static_cast<int>(granularity));
      // Its piece and its elements; one more to begin with, for the first piece's number.
      CHECK(measure.most.waits <= 2 * clipped.tilesOf(measure) + 1);
      // A coefficient of its own, where there is one; the decision, and the result for the host, to begin with.
      const std::uint32_t each = granularity == Granularity::All ? 2 : 3;
      CHECK(scale.most.waits <= each * clipped.tilesOf(scale) + 3);
      CHECK(decide.most.waits <= 16);
    }
  }
}

TEST_CASE("loads that wait for others in an update: eight a tile, whatever the number of tensors") {
  for (auto [tensors, elements] :
       {std::pair<std::size_t, std::size_t>{1, 2048}, {161, 2048}, {1500, 2048}, {1, 2048 * 1024}}) {
    const Tensor tensor{DType::Float32, normal(DType::Float32, elements, 1)};
    Bound bound(std::vector<Tensor>(2 * tensors, tensor), tensors);
    std::vector<std::int32_t> firstPiece;
    for (std::size_t i = 0; i <= tensors; ++i) firstPiece.push_back(static_cast<std::int32_t>(i));
    REQUIRE_OK(bound->createUpdates({2, false, static_cast<std::int32_t>(tensors), firstPiece.data()}));
    const gradclip::UpdateNumbers adam{2, gradclip::kDecoupled, 0.1, 0.01, 0.0, 0.0, 0.9, 0.999, 1e-8};
    std::int64_t ticket = 0;
    gradclip::ptx::resetCosts();
    REQUIRE_OK(bound->stepByNorm(0, normRule(Granularity::All, kL2, 1e-3, 0, Policy::Propagate), adam, &ticket));
    bound.result(ticket);
    const KernelCost cost = costOf("updateKernelILNS_10UpdateFormE2");
    INFO(tensors << " tensors of " << elements << " elements");
    CHECK(cost.launches == 1);
    const auto tiles = static_cast<std::uint32_t>(tensors * elements / 2048);
    const auto warps = static_cast<std::uint32_t>(cost.threads / 32);
    const std::uint32_t each = (tiles + warps - 1) / warps;
    // Four times four rows, and the pieces, the state's place, the coefficient and the tensor's steps before them;
    // two more to begin with, for the result, and six for each 1024 tensors to count the step.
    const auto counted = static_cast<std::uint32_t>((tensors + 1023) / 1024);
    CHECK(cost.most.waits <= 8 * each + 2 + 6 * counted);
    CHECK(cost.most.vectors >= 64 * each);
    CHECK(cost.most.vectors <= 72 * each);
  }
}

TEST_CASE("a tile that is not whole is loaded a few vectors at a time") {
  const Clipped clipped(161, 4000, Granularity::All);
  for (const char* kernel : {kMeasure, kScale}) {
    const KernelCost cost = costOf(kernel);
    CHECK(cost.most.waits <= 6 * clipped.tilesOf(cost));
  }
}

TEST_CASE("whole tiles are loaded in vectors, all of a lane's at once") {
  const Clipped clipped(1, 2048 * 1024, Granularity::All);
  for (const char* kernel : {kMeasure, kScale}) {
    const KernelCost cost = costOf(kernel);
    CHECK(cost.most.vectors >= 16 * clipped.tilesOf(cost));
    // The piece's number and its 32 bytes; once, the first piece's number, and the seven figures of a result.
    CHECK(cost.most.loads <= 19 * clipped.tilesOf(cost) + 8);
  }
}

TEST_CASE("in one launch a lane's vectors are read once, and all at once") {
  setenv("GRADCLIP_CUDA_ONE_LAUNCH", "1", 1);
  Bound bound({{DType::Float32, normal(DType::Float32, 2048 * 40, 1)}});
  unsetenv("GRADCLIP_CUDA_ONE_LAUNCH");
  gradclip::ptx::resetCosts();
  bound.clip(normRule(Granularity::All, kL2, 1e-3, 0, Policy::Propagate));
  const KernelCost cost = costOf(kOneLaunch);
  CHECK(cost.launches == 1);
  CHECK(cost.threads == 40 * 32);
  // Its tile, twice the 32 bytes of the tile's piece, and the decision.
  CHECK(cost.most.vectors == 16 + 2 * 2 + 1);
}

TEST_CASE("where a history lags a lane's vectors are read once, and all at once") {
  Bound bound({{DType::Float32, normal(DType::Float32, 2048 * 1024, 1)}});
  Rule rule = normRule(Granularity::All, kL2, 1e-3, 0, Policy::Propagate);
  gradclip::HistoryHead head{};
  head.form = static_cast<double>(gradclip::HistoryForm::Lagged);
  head.a = 0.9;
  head.steps = head.first = 1.0;
  std::vector<std::uint8_t> block(sizeof head);
  std::memcpy(block.data(), &head, sizeof head);
  REQUIRE_OK(bound->createHistory(sizeof head, &rule.history));
  writeDevice(rule.history, block);
  rule.onePass = 1;
  gradclip::ptx::resetCosts();
  CHECK(bound.clip(rule).coefficient == 1e-3);
  for (const char* kernel : {kMeasure, kScale}) CHECK(costOf(kernel).launches == 0);
  CHECK(costOf(kDecide).launches == 1);
  const KernelCost cost = costOf(kLagged);
  CHECK(cost.launches == 1);
  const auto warps = static_cast<std::uint32_t>(cost.threads / 32), tiles = (1024 + warps - 1) / warps;
  // Its tile and the 32 bytes of its piece; once, the first piece's number and the history.
  CHECK(cost.most.vectors == 18 * tiles);
  CHECK(cost.most.loads <= 19 * tiles + 8);
  CHECK(cost.most.waits <= 2 * tiles + 3);
}

TEST_CASE("all-zero tiles are measured once") {
  Bound bound({{DType::Float32, Bits(2048 * 1024, 0)}, {DType::Float64, Bits(1024 * 512, 0)}});
  std::int64_t ticket = 0;
  gradclip::ptx::resetCosts();
  REQUIRE_OK(bound->globalNorm(0, kL2, &ticket));
  CHECK(bound.result(ticket).globalNorm == 0);
  const KernelCost cost = costOf(kMeasure);
  const auto warps = static_cast<std::uint32_t>(cost.threads / 32);
  CHECK(cost.most.loads <= 19 * ((1024 + 512 + warps - 1) / warps) + 1);
}

TEST_CASE("branches: not one an element or a vector") {
  const Clipped clipped(1, 2048 * 1024, Granularity::All);
  for (const char* kernel : {kMeasure, kScale}) {
    const KernelCost cost = costOf(kernel);
    CHECK(cost.most.branches <= 12 * clipped.tilesOf(cost) + 20);
  }
}
