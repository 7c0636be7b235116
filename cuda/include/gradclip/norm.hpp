// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace gradclip {

/// What a tile's partial is; the ordinals are those of dev.gradclip.internal.reduce.NormKind.
enum class NormKind : std::int32_t { L1 = 0, L2 = 1, Inf = 2, Power = 3 };

constexpr int ordinal(NormKind norm) { return static_cast<int>(norm); }

/// Planes that partials were written to besides the middle one.
constexpr unsigned kLowPlane = 1;
constexpr unsigned kHighPlane = 2;

}  // namespace gradclip
