// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace gradclip::emulator {

/// Memory behind device addresses, poisoned; null where there is none. `bytes` is a whole number of pages.
void* mapBacking(std::size_t bytes);

/// The same `period` bytes again and again.
void* mapRepeated(std::size_t bytes, std::size_t period);

void unmapBacking(void* memory, std::size_t bytes);

}  // namespace gradclip::emulator
