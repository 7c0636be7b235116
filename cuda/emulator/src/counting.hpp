// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "work.hpp"

namespace gradclip::emulator {

void count(Counted counted);
void countAllocation();
void countSynchronisation();
void countQuery();

}  // namespace gradclip::emulator
