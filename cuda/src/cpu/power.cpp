// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "gradclip/cpu.hpp"
#include "common/canonical_tile.hpp"

#if defined(__linux__) && defined(__GLIBC__)
// The newest pow needs glibc 2.29 and differs only in how it reports errors.
#if defined(__x86_64__)
__asm__(".symver pow, pow@GLIBC_2.2.5");
#elif defined(__aarch64__)
__asm__(".symver pow, pow@GLIBC_2.17");
#endif
#endif

namespace gradclip {
namespace {

template <class T>
double sumTile(const void* x, std::int64_t count, double p, double maximum) {
  constexpr int V = kComponents<T>;
  double lanes[kThreads * V] = {};
  for (std::int64_t i = 0; i < count; ++i) {
    const double value = static_cast<double>(Element<T>::decode(absoluteBits<T>(loadBits<T>(x, i))));
    lanes[i % (kThreads * V)] += std::pow(value / maximum, p);
  }
  double sums[kThreads];
  for (int t = 0; t < kThreads; ++t) sums[t] = sumComponents<V>(lanes + t * V);
  return sumThreads(sums, kThreads);
}

template <class T>
void measureTiles(const void* x, std::int64_t count, double p, double maximum, double* partials,
                  std::int64_t planeStride) {
  constexpr std::int64_t tile = kTileBytes / static_cast<std::int64_t>(sizeof(T));
  const auto* from = static_cast<const unsigned char*>(x);
  for (; count > 0; count -= tile, from += kTileBytes, ++partials) {
    *partials = maximum == 0.0 ? 0.0 : sumTile<T>(from, count < tile ? count : tile, p, maximum);
    if constexpr (sizeof(T) == 8) partials[planeStride] = partials[2 * planeStride] = 0.0;
  }
}

}  // namespace

void measurePower(DType dtype, const void* x, std::int64_t count, double p, double maximum, double* partials,
                  std::int64_t planeStride) {
  switch (dtype) {
    case DType::Float64: return measureTiles<double>(x, count, p, maximum, partials, planeStride);
    case DType::Float32: return measureTiles<float>(x, count, p, maximum, partials, planeStride);
    case DType::Float16: return measureTiles<Float16>(x, count, p, maximum, partials, planeStride);
    case DType::BFloat16: return measureTiles<BFloat16>(x, count, p, maximum, partials, planeStride);
  }
}

}  // namespace gradclip
