// SPDX-License-Identifier: Apache-2.0
// Instructions whose meaning is easily missed, by values worked out from the PTX ISA.
#include "ptx.hpp"

#include <doctest/doctest.h>

#include "common/elements.hpp"

using namespace gradclip;

TEST_CASE("conversions of every half are those of the library, NaNs the canonical one") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float f16 = ptx::from_f16(half), bf16 = ptx::from_bf16(half);
    if (f16 == f16) {
      CHECK(ptx::floatToBits(f16) == bitCast<std::uint32_t>(halfToFloat(half)));
      CHECK(ptx::to_f16(f16) == half);
    } else {
      CHECK(ptx::floatToBits(f16) == 0x7fffffffu);
      CHECK(ptx::to_f16(f16) == 0x7fff);
    }
    CHECK(ptx::to_bf16(bf16) == (bf16 == bf16 ? half : 0x7fff));
  }
}

TEST_CASE("rounding to halves: to even, to subnormals, to infinity") {
  std::uint32_t bits = 1;
  for (int i = 0; i < 300000; ++i) {
    bits = bits * 1664525u + 1013904223u;
    const float value = ptx::bitsToFloat(bits);
    CHECK(ptx::to_f16(value) == floatToHalf(value));
    CHECK(ptx::to_bf16(value) == floatToBfloat16(value));
  }
  CHECK(ptx::to_f16(65520.0f) == 0x7c00);
  CHECK(ptx::to_f16(0x1p-25f) == 0);
  CHECK(ptx::to_f16(-0x1.8p-25f) == 0x8001);
  CHECK(ptx::to_f16x2(1.0f, 2.0f) == 0x3c004000u);
  CHECK(ptx::set_gt_f16x2(0x40003c00u, 0x3c004000u) == 0xffff0000u);
  CHECK(ptx::set_gt_bf16x2(0x7fff3f80u, 0x00000000u) == 0x0000ffffu);
}

TEST_CASE("arithmetic makes NVIDIA's NaN") {
  CHECK(ptx::floatToBits(ptx::mul_rn(0.0f, ptx::bitsToFloat(0xff800000u))) == 0x7fffffffu);
  CHECK(ptx::floatToBits(ptx::add_rn(ptx::bitsToFloat(0xffc12345u), 1.0f)) == 0x7fffffffu);
  CHECK(ptx::floatToBits(ptx::min_float(ptx::bitsToFloat(0x7fc00000u), 2.0f)) == ptx::floatToBits(2.0f));
  CHECK(std::signbit(ptx::min_float(0.0, -0.0)));
  CHECK_FALSE(std::signbit(ptx::max_float(-0.0, 0.0)));
}

TEST_CASE("comparisons with NaN") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(ptx::compare_ne(nan, 1.0));
  CHECK(ptx::compare_neu(nan, 1.0));
  CHECK(ptx::compare_equ(nan, 1.0));
  CHECK(ptx::compare_ltu(nan, 1.0));
  CHECK(ptx::compare_nan(1.0, nan));
  CHECK_FALSE(ptx::compare_num(1.0, nan));
}

TEST_CASE("bits") {
  CHECK(ptx::prmt(0x33221100u, 0x77665544u, 0x5410u) == 0x55441100u);
  CHECK(ptx::prmt(0x00008000u, 0u, 0x0009u) == 0x000000ffu);
  CHECK(ptx::bfi<std::uint32_t>(0xfu, 0u, 30, 4) == 0xc0000000u);
  CHECK(ptx::bfi<std::uint64_t>(1u, 0u, 52, 11) == 0x0010000000000000u);
  CHECK(ptx::bfe<std::int32_t>(0x00000080, 4, 4) == -8);
  CHECK(ptx::bfe<std::uint32_t>(0xabcdu, 4, 8) == 0xbcu);
  CHECK(ptx::lop3(0xf0f0f0f0u, 0xccccccccu, 0xaaaaaaaau, 0xf8u) == (0xf0f0f0f0u | (0xccccccccu & 0xaaaaaaaau)));
  CHECK(ptx::shf_l_wrap(0x80000000u, 1u, 1) == 3u);
  CHECK(ptx::shf_r_clamp(1u, 2u, 40) == 2u);
  CHECK(ptx::shl<std::uint32_t>(1u, 32) == 0u);
  CHECK(ptx::shr<std::int32_t>(-8, 99) == -1);
  CHECK(ptx::brev<std::uint32_t>(1u) == 0x80000000u);
  CHECK(ptx::bfind_shiftamt(0u) == 0xffffffffu);
  CHECK(ptx::bfind_shiftamt(0x00010000u) == 15u);
  CHECK(ptx::mul_hi<std::uint32_t>(0xffffffffu, 0xffffffffu) == 0xfffffffeu);
  CHECK(ptx::convert_rzi<std::int32_t>(3e9) == 2147483647);
  CHECK(ptx::convert_rzi<std::int32_t>(std::numeric_limits<double>::quiet_NaN()) == 0);
  CHECK(ptx::convert_rzi<std::int32_t>(-2.9) == -2);
}

TEST_CASE("waits: one for all loads before the first use") {
  ptx::Cost cost;
  std::uint32_t a = 0, b = 0, c = 0;
  cost.load(a, 16);
  cost.load(b, 8);
  cost.use(b);
  cost.use(a);
  CHECK(cost.waits == 1);
  cost.load(c, 4);
  cost.use(a);
  CHECK(cost.waits == 1);
  cost.use(c);
  CHECK(cost.waits == 2);
  CHECK(cost.loads == 3);
  CHECK(cost.vectors == 1);
}
