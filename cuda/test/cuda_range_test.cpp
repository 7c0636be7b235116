// SPDX-License-Identifier: Apache-2.0
// Tiles whose sums leave their type's range, in whole tiles and in short ones, beside tiles that do not.
#include "cuda_support.hpp"

namespace {

void checkAt(DType dtype, std::size_t count, int exponent) {
  std::vector<Tensor> tensors;
  for (int i = 0; i < 9; ++i) {
    tensors.push_back({dtype, spreadLanes(dtype, count, 4, i % 3 == 1 ? exponent : 0, static_cast<unsigned>(i)),
                       static_cast<std::size_t>(i % 2)});
  }
  Bound bound(std::move(tensors));
  for (NormKind norm : kTileNorms) {
    INFO("dtype " << ordinal(dtype) << " norm " << ordinal(norm) << " count " << count << " exponent " << exponent);
    CHECK(reference::sameBits(bound.globalNorm({norm, 0}).globalNorm, referenceNorm(norm, bound.tensors).value()));
    for (std::size_t i = 0; i < bound.tensors.size(); ++i) {
      CHECK(reference::sameBits(bound.norm({norm, 0}, i, i + 1), referenceNorm(norm, {bound.tensors[i]}).value()));
    }
  }
}

}  // namespace

TEST_CASE("float32 and bfloat16") {
  for (DType dtype : {DType::Float32, DType::BFloat16}) {
    for (int exponent : {-140, -126, -80, -45, -35, 50, 58, 65, 100, 123}) {
      for (std::size_t count : {3, 100, 5000}) checkAt(dtype, count, exponent);
    }
  }
}

TEST_CASE("float64") {
  for (int exponent : {-1060, -1000, -500, -460, -440, 430, 445, 460, 600, 1000, 1015}) {
    for (std::size_t count : {3, 60, 2500}) checkAt(DType::Float64, count, exponent);
  }
}

TEST_CASE("a finite norm that no double holds still clips rightly") {
  Bound bound({{DType::Float64, Bits(5000, reference::encode(DType::Float64, 0x1p1020))}});
  const Slot slot = bound.clip(normRule(Granularity::All, kL2, 1.0, 0.0, Policy::Error));
  CHECK(slot.globalNorm == reference::kInf);
  CHECK_FALSE(has(slot, gradclip::kNonFinite));
  CHECK(slot.coefficient == doctest::Approx(1 / std::sqrt(5000.0) * 0x1p-1020).epsilon(1e-12));
}
