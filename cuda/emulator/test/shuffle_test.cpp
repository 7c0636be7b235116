// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "support.hpp"

namespace {

template <class T>
struct Exchange {
  const T* in;
  T* out;
  unsigned mask;
  int width;
  int by;
  int kind;
};

template <class T>
__global__ void exchange(Exchange<T> p) {
  const unsigned i = threadIdx.x;
  if ((p.mask >> (i % 32) & 1) == 0) return;
  const T own = loadGlobal<T>(p.in + i);
  T got{};
  switch (p.kind) {
    case 0: got = __shfl_sync(p.mask, own, p.by, p.width); break;
    case 1: got = __shfl_up_sync(p.mask, own, static_cast<unsigned>(p.by), p.width); break;
    case 2: got = __shfl_down_sync(p.mask, own, static_cast<unsigned>(p.by), p.width); break;
    default: got = __shfl_xor_sync(p.mask, own, p.by, p.width); break;
  }
  storeGlobal(p.out + i, got);
}

/// The lane that CUDA's guide says is read.
int sourceOf(int kind, int lane, int by, int width) {
  const int first = lane / width * width;
  switch (kind) {
    case 0: return first + by % width;
    case 1: return lane - by >= first ? lane - by : lane;
    case 2: return lane + by < first + width ? lane + by : lane;
    default: return (lane ^ by) < first + width ? lane ^ by : lane;
  }
}

template <class T>
void checkAll() {
  constexpr int kThreads = 64;
  std::vector<T> in(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    in[static_cast<std::size_t>(i)] = static_cast<T>(std::numeric_limits<T>::max() / 128 * static_cast<T>(i + 1));
  }
  const Device<T> from(in);
  for (const unsigned mask : {0xffffffffU, 0x0000ffffU, 0xff00ff00U}) {
    for (int kind = 0; kind < 4; ++kind) {
      for (const int width : {32, 16, 8, 1}) {
        for (const int by : {0, 1, 3, 7, 16, 31}) {
          const Device<T> to(std::vector<T>(kThreads, T{1}));
          REQUIRE_OK(launched(exchange<T>, 1, kThreads, Exchange<T>{from, to, mask, width, by, kind}));
          const auto got = to.values();
          for (int i = 0; i < kThreads; ++i) {
            const int source = sourceOf(kind, i % 32, by, width);
            if ((mask >> (i % 32) & 1) == 0) {
              REQUIRE(got[static_cast<std::size_t>(i)] == T{1});
            } else if ((mask >> source & 1) != 0) {
              INFO("mask " << mask << " kind " << kind << " width " << width << " by " << by << " thread " << i);
              REQUIRE(got[static_cast<std::size_t>(i)] == in[static_cast<std::size_t>(i / 32 * 32 + source)]);
            }
          }
        }
      }
    }
  }
}

struct Votes {
  unsigned* out;
};

__global__ void votes(Votes p) {
  const unsigned i = threadIdx.x;
  const bool odd = i % 2 == 1;
  unsigned result = __ballot_sync(0xffffffffU, odd) == 0xaaaaaaaaU ? 1 : 0;
  result |= __any_sync(0xffffffffU, i == 33) != 0 ? 2U : 0U;
  result |= __all_sync(0xffffffffU, i < 32) != 0 ? 4U : 0U;
  if (odd) result |= __ballot_sync(0xaaaaaaaaU, i % 32 < 4) == 0xaU ? 8U : 0U;
  storeGlobal(p.out + i, result);
}

/// Halves of a warp shuffle apart, as often as they like, before they meet.
__global__ void apart(Votes p) {
  const unsigned lane = threadIdx.x % 32;
  unsigned sum = lane;
  const unsigned mask = lane < 16 ? 0xffffU : 0xffff0000U;
  for (int o = lane < 16 ? 8 : 4; o > 0; o /= 2) sum += __shfl_xor_sync(mask, sum, o);
  sum += __shfl_xor_sync(0xffffffffU, sum, 16);
  storeGlobal(p.out + threadIdx.x, sum);
}

}  // namespace

TEST_CASE("shuffles of every type, mask and width") {
  checkAll<int>();
  checkAll<unsigned>();
  checkAll<float>();
  checkAll<long long>();
  checkAll<unsigned long long>();
  checkAll<unsigned long>();
  checkAll<double>();
}

TEST_CASE("votes") {
  const Device<unsigned> out(64);
  REQUIRE_OK(launched(votes, 1, 64, Votes{out}));
  const auto got = out.values();
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK((got[i] & 1) == 1);
    CHECK((got[i] & 2) == (i >= 32 ? 2 : 0));
    CHECK((got[i] & 4) == (i < 32 ? 4 : 0));
    CHECK((got[i] & 8) == (i % 2 == 1 ? 8 : 0));
  }
}

TEST_CASE("parts of a warp shuffle apart") {
  const Device<unsigned> out(64);
  REQUIRE_OK(launched(apart, 1, 64, Votes{out}));
  // The lower half sums 0..15, the upper one groups of 8.
  const auto got = out.values();
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == 120 + (i % 16 < 8 ? 156U : 220U));
}
