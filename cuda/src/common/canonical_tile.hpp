// SPDX-License-Identifier: Apache-2.0
// The canonical tile without SIMD, for tiles of a few elements and for powers.
#pragma once

#include <cstdint>

#include "common/elements.hpp"
#include "gradclip/norm.hpp"

namespace gradclip {

constexpr int kThreads = 32;
constexpr int kStripes = 16;

/// Components that a thread holds of one 16-byte vector.
template <class T>
constexpr int kComponents = static_cast<int>(16 / sizeof(T));

/// Adds `Count` lanes pairwise: neighbours first.
template <int Count>
inline double sumComponents(const double* lanes) {
  if constexpr (Count == 1) {
    return lanes[0];
  } else {
    return sumComponents<Count / 2>(lanes) + sumComponents<Count / 2>(lanes + Count / 2);
  }
}

/// Adds `width` threads' sums, a power of two. Threads beyond hold +0.0 and would leave a sum's bits alone.
inline double sumThreads(double* sums, int width) {
  for (int half = width / 2; half > 0; half /= 2) {
    for (int t = 0; t < half; ++t) sums[t] += sums[t + half];
  }
  return sums[0];
}

/// What an element adds to its lane.
template <NormKind Norm, class A>
inline A term(A x) {
  if constexpr (Norm == NormKind::L2) {
    return x * x;
  } else {
    return x < A(0) ? -x : x + A(0);  // + 0 turns -0 into +0
  }
}

constexpr int kFewElements = 32;

/// The sum of a tile of 1 to kFewElements elements, at most one a lane.
template <class T, NormKind Norm>
inline double sumFew(const void* x, int count, typename Element<T>::A factor) {
  constexpr int V = kComponents<T>;
  static_assert(kFewElements <= kThreads * V, "one element a lane");
  double lanes[kFewElements];
  double sums[kFewElements / V];
  int threads = 1;
  while (threads * V < count) threads *= 2;
  for (int i = 0; i < count; ++i) {
    lanes[i] = static_cast<double>(term<Norm>(Element<T>::decode(loadBits<T>(x, i)) * factor));
  }
  for (int i = count; i < threads * V; ++i) lanes[i] = 0.0;
  for (int t = 0; t < threads; ++t) sums[t] = sumComponents<V>(lanes + t * V);
  return sumThreads(sums, threads);
}

}  // namespace gradclip
