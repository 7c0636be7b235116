// SPDX-License-Identifier: Apache-2.0
// The decision's arithmetic on the host, against values of dev.gradclip.internal.reduce.ScaledNorm and from the
// definition.
#include "cuda_reference.hpp"

using gradclip::ScaledNorm;

TEST_CASE("scaleBy rounds as ldexp does") {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    const double x =
        std::ldexp(1 + static_cast<double>(random() >> 12) * 0x1p-52, static_cast<int>(random() % 2000) - 1000);
    const int exponent = static_cast<int>(random() % 4600) - 2300;
    CHECK(reference::sameBits(gradclip::scaleBy(x, exponent), std::ldexp(x, exponent)));
  }
}

TEST_CASE("coefficients of norms that no double holds") {
  for (double max : {4.9e-324, 1e-310, 1e-300, 1e-100, 1.0, 1e100, 1e300}) {
    for (double epsilon : {0.0, 1e-6, 1e-310, 1e200}) {
      for (double mantissa : {0x1p-150, 0x1p-20, 1.7, 0x1.fp100, 0x1p420}) {
        for (int exponent : {600, 0, -400}) {
          const long double divisor = std::ldexp(static_cast<long double>(mantissa), exponent) + epsilon;
          const auto want = static_cast<double>(std::min(1.0L, max / divisor));
          const double got = ScaledNorm{mantissa, exponent}.coefficient(max, epsilon);
          INFO("max " << max << " epsilon " << epsilon << " mantissa " << mantissa << " exponent " << exponent);
          CHECK(std::fabs(got - want) <= 4e-16 * want + 2 * 4.9e-324);
        }
      }
    }
  }
}

TEST_CASE("edges of the coefficient") {
  CHECK(ScaledNorm{reference::kInf, 0}.coefficient(1, 1e-6) == 0);
  CHECK(ScaledNorm{reference::kInf, 0}.coefficient(reference::kInf, 1e-6) == 1);
  CHECK(std::isnan(ScaledNorm{reference::kNaN, 0}.coefficient(1, 1e-6)));
  CHECK(ScaledNorm{reference::kNaN, 0}.coefficient(reference::kInf, 1e-6) == 1);
  CHECK(ScaledNorm{0, 0}.coefficient(0, 0) == 1);
  CHECK(ScaledNorm{2, 0}.coefficient(2, 0) == 1);
  CHECK(ScaledNorm{0x1p430, 600}.value() == reference::kInf);
  CHECK(ScaledNorm{0x1p430, 600}.finite());
}

TEST_CASE("planes combine") {
  CHECK(gradclip::normL2({9, 0, 0}).value() == std::ldexp(3.0, -600));
  CHECK(gradclip::normL2({9, 16, 0}).value() == 4);
  CHECK(gradclip::normL2({0, 0x1p900, 0x1p-300}).value() == doctest::Approx(std::sqrt(2) * 0x1p450).epsilon(1e-14));
  CHECK(gradclip::normL1({0, 0x1p900, 0x1p300}).value() == 0x1p901);
  CHECK(gradclip::normL2({0, 0, 0}).value() == 0);
}

TEST_CASE("powers of magnitudes at either end") {
  for (double largest : {4.9e-324, 1e-310, 1e-200, 1.0, 1e200, 1.7e308}) {
    for (double p : {0.5, 3.0}) {
      CHECK(gradclip::normPower(p, largest, 1).value() == doctest::Approx(largest).epsilon(1e-12));
    }
  }
  CHECK(gradclip::normPower(0.01, 1.0, 1e6).value() == reference::kInf);
  CHECK(gradclip::normPower(0.01, 1.0, 1e6).coefficient(1, 0) == 0);
  CHECK(gradclip::normPower(3, 0, 0).value() == 0);
  CHECK(gradclip::normPower(3, reference::kInf, 0).value() == reference::kInf);
}
