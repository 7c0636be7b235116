// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace gradclip::emulator {

/// To be called when allocations or the device that runs have changed.
void forgetWindows();

}  // namespace gradclip::emulator
