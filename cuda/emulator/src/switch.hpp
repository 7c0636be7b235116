// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

extern "C" {
/// Saves this stack's registers on it and its pointer in `*save`, then goes on where the other stack was left.
void gradclip_emulator_switch(void** save, void* load);
}

namespace gradclip::emulator {

/// Prepares a stack so that the first switch to it enters `entry`, which must not return.
void* prepareStack(char* bottom, std::size_t bytes, void (*entry)());

}  // namespace gradclip::emulator
