// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace gradclip::emulator {

/// Read from the environment once, when the emulator is first used.
std::size_t memorySetting();
int devicesSetting();
std::uint64_t seedSetting();

}  // namespace gradclip::emulator
