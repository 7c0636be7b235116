// SPDX-License-Identifier: Apache-2.0
#include "counting.hpp"

#include "gradclip_emulator.hpp"

namespace gradclip::emulator {

namespace {

thread_local Counters mine{};

}  // namespace

void count(Counted counted) {
  switch (counted) {
    case Counted::Nothing: return;
    case Counted::EarlyLaunch: ++mine.earlyLaunches; [[fallthrough]];
    case Counted::Launch: ++mine.launches; return;
    case Counted::CopyToDevice: ++mine.copiesToDevice; return;
    case Counted::CopyToHost: ++mine.copiesToHost; return;
  }
}

void countAllocation() { ++mine.allocations; }
void countSynchronisation() { ++mine.synchronisations; }
void countQuery() { ++mine.queries; }

std::int64_t kernelAccesses = 0;

Counters counters() noexcept {
  Counters all = mine;
  all.accesses = kernelAccesses;
  return all;
}

void resetCounters() noexcept {
  mine = {};
  kernelAccesses = 0;
}

}  // namespace gradclip::emulator

void gradclip_emulator_counters(std::int64_t* five) {
  const auto all = gradclip::emulator::counters();
  five[0] = all.launches;
  five[1] = all.allocations;
  five[2] = all.copiesToDevice;
  five[3] = all.copiesToHost;
  five[4] = all.synchronisations;
}

void gradclip_emulator_reset_counters() { gradclip::emulator::resetCounters(); }
