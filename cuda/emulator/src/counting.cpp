// SPDX-License-Identifier: Apache-2.0
#include "counting.hpp"

#include <atomic>

#include "gradclip_emulator.hpp"

namespace gradclip::emulator {

namespace {

std::atomic<std::int64_t> launches{0}, allocations{0}, copiesToDevice{0}, copiesToHost{0}, synchronisations{0},
    queries{0};

}  // namespace

void count(Counted counted) {
  switch (counted) {
    case Counted::Nothing: return;
    case Counted::Launch: ++launches; return;
    case Counted::CopyToDevice: ++copiesToDevice; return;
    case Counted::CopyToHost: ++copiesToHost; return;
  }
}

void countAllocation() { ++allocations; }
void countSynchronisation() { ++synchronisations; }
void countQuery() { ++queries; }

Counters counters() noexcept {
  return {launches, allocations, copiesToDevice, copiesToHost, synchronisations, queries};
}

void resetCounters() noexcept {
  for (auto* counter : {&launches, &allocations, &copiesToDevice, &copiesToHost, &synchronisations, &queries}) {
    *counter = 0;
  }
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
