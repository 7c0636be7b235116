// SPDX-License-Identifier: Apache-2.0
// Every level gives the canonical bits at every size and alignment, and touches nothing outside.
#include "support.hpp"

TEST_CASE("odd sizes") {
  for (DType dtype : kAllTypes) {
    for (std::size_t count : {0,    1,    2,    3,    4,    7,    13,   31,   32,   33,   63,   64,  65,
                              127,  128,  129,  147,  207,  255,  256,  257,  511,  1000, 1023, 1024, 1025,
                              2047, 2048, 2049, 4095, 4096, 4097, 4098, 65537}) {
      const Bits elements = normal(dtype, count, 1);
      for (NormKind norm : kTileNorms) checkBits(dtype, norm, elements);
    }
  }
}

TEST_CASE("unaligned by elements and by odd bytes") {
  for (DType dtype : kAllTypes) {
    const auto size = static_cast<std::size_t>(gradclip::elementBytes(dtype));
    for (std::size_t count : {13, 147, 2049, 4098}) {
      const Bits elements = normal(dtype, count, 1);
      for (std::size_t offset : {size, 2 * size, 3 * size, std::size_t{1}, std::size_t{3}, std::size_t{17}}) {
        for (NormKind norm : kTileNorms) checkBits(dtype, norm, elements, offset);
      }
    }
  }
}

TEST_CASE("lanes of different magnitudes, so that the order of each addition shows") {
  for (DType dtype : kAllTypes) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
      for (std::size_t count : {12, 32, 200, 4096, 5003}) {
        const Bits elements = spreadLanes(dtype, count, dtype == DType::Float16 ? 12 : 22, 0, seed);
        for (NormKind norm : kTileNorms) checkBits(dtype, norm, elements);
      }
    }
  }
}

TEST_CASE("every float16 and every bfloat16") {
  for (DType dtype : {DType::Float16, DType::BFloat16}) {
    for (std::uint64_t bits = 0; bits < 65536; ++bits) {
      const double want = std::fabs(reference::decode(dtype, bits));
      const auto element = static_cast<std::uint16_t>(bits);
      std::uint16_t padded[64] = {element};
      for (int level = 0; level < gradclip::usableLevels(); ++level) {
        for (NormKind norm : {NormKind::L1, NormKind::Inf}) {
          for (std::size_t count : {1u, 64u}) {
            const double got = measured(level, dtype, norm, padded, count)[0].middle;
            if (!reference::sameBits(got, want)) FAIL("bits " << bits << " level " << level << " got " << got);
          }
        }
      }
    }
  }
}
