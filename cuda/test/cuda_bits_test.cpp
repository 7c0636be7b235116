// SPDX-License-Identifier: Apache-2.0
// The device's norms have the canonical bits at every size and alignment, in tiles and runs of runs.
#include "cuda_support.hpp"

namespace {

void checkNorms(std::vector<Tensor> tensors) {
  Bound bound(std::move(tensors));
  for (NormKind norm : kTileNorms) {
    const double want = referenceNorm(norm, bound.tensors).value();
    const double got = bound.globalNorm({norm, 0}).globalNorm;
    INFO("norm " << ordinal(norm) << " dtype " << ordinal(bound.tensors[0].dtype) << " count "
                 << bound.tensors[0].elements.size() << " offset " << bound.tensors[0].offset << " tensors "
                 << bound.tensors.size() << " got " << got << " want " << want);
    CHECK(reference::sameBits(got, want));
  }
}

}  // namespace

TEST_CASE("sizes around vectors, lanes, stripes and tiles, at every offset") {
  for (DType dtype : kAllTypes) {
    for (std::size_t count : {0,   1,    3,    7,    8,    13,   31,   63,   127,  128,  129,  255, 256,
                              257, 1000, 1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097, 9000}) {
      for (std::size_t offset : {0, 1, 2, 3}) checkNorms({{dtype, spreadLanes(dtype, count, 8), offset}});
    }
  }
}

TEST_CASE("many short tensors, whatever their lengths and offsets") {
  std::mt19937 random(11);
  for (DType dtype : kAllTypes) {
    const auto most = 512 / static_cast<std::size_t>(gradclip::elementBytes(dtype));
    for (std::size_t tensors = 1; tensors <= 19; ++tensors) {
      std::vector<Tensor> list;
      for (std::size_t i = 0; i < tensors; ++i) {
        list.push_back(
            {dtype, spreadLanes(dtype, random() % (most + 2), 8, 0, static_cast<unsigned>(i)), random() % 4});
      }
      checkNorms(std::move(list));
    }
  }
}

TEST_CASE("one run of tiles, a run and a tile, two levels of runs") {
  constexpr std::size_t kTileOfHalves = 4096;
  for (std::size_t tiles : {2, 255, 256, 257, 1023, 1024, 1025, 2049}) {
    checkNorms({{DType::BFloat16, normal(DType::BFloat16, (tiles - 1) * kTileOfHalves + 5, 1)}});
  }
  checkNorms({{DType::Float64, normal(DType::Float64, 1024 * 1024 + 1, 1)}});
}

TEST_CASE("runs of segments: only short ones, one long among them, more than one run") {
  for (std::size_t tensors : {1023, 1024, 1025, 2500}) {
    std::vector<Tensor> list;
    for (std::size_t i = 0; i < tensors; ++i)
      list.push_back({DType::Float32, normal(DType::Float32, 3, 1, static_cast<unsigned>(i))});
    checkNorms(list);
    list[tensors / 2].elements = normal(DType::Float32, 5000, 1);
    checkNorms(std::move(list));
  }
}
