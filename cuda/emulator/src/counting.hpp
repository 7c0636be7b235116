// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "work.hpp"

namespace gradclip::emulator {

void count(Counted counted);
void countAllocation();
void countSynchronisation();
void countQuery();

/// Accesses of global memory by kernels' threads; one kernel thread runs at a time.
extern std::int64_t kernelAccesses;

}  // namespace gradclip::emulator
