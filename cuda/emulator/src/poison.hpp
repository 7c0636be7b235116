// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace gradclip::emulator {

/// Fills memory that starts on a multiple of 8 with kPoison.
void poison(void* memory, std::size_t bytes);

}  // namespace gradclip::emulator
