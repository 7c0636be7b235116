// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <vector>

#include "capture.hpp"

namespace gradclip::emulator {

/// The state lock is held.
cudaGraph_t newGraph(std::vector<Item> items);

}  // namespace gradclip::emulator
