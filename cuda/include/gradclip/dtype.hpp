// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace gradclip {

/// Element types; the ordinals are those of dev.gradclip.DType.
enum class DType : std::int32_t { Float64 = 0, Float32 = 1, Float16 = 2, BFloat16 = 3 };

constexpr int kDTypes = 4;

constexpr int ordinal(DType dtype) { return static_cast<int>(dtype); }

constexpr std::int64_t elementBytes(DType dtype) {
  return dtype == DType::Float64 ? 8 : dtype == DType::Float32 ? 4 : 2;
}

/// 16 stripes of 512 bytes.
constexpr std::int64_t kTileBytes = 8192;

constexpr std::int64_t tileElements(DType dtype) { return kTileBytes / elementBytes(dtype); }

}  // namespace gradclip
