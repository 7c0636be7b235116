// SPDX-License-Identifier: Apache-2.0
#include "warp.hpp"

#include "gradclip_emulator.hpp"
#include "sanitizers.hpp"

namespace gradclip::emulator {

GRADCLIP_UNTRACKED void Warp::start(std::uint32_t existing) {
  lanes = existing;
  runnable = existing;
  atBarrier = 0;
  polling = 0;
  ended = 0;
  meetings = 0;
}

GRADCLIP_UNTRACKED Meeting& Warp::join(Together what, std::uint32_t mask) {
  for (unsigned i = 0; i < meetings; ++i) {
    if (meeting[i].what == what && meeting[i].mask == mask) return meeting[i];
  }
  Meeting& added = meeting[meetings++];
  added = {what, static_cast<unsigned char>(nextToken++ % kTokens), mask, 0};
  return added;
}

GRADCLIP_UNTRACKED void Warp::complete(Meeting& done) {
  const std::uint32_t mask = done.mask;
  if (done.what == Together::Ballot) {
    std::uint64_t votes = 0;
    for (unsigned lane = 0; lane < 32; ++lane) {
      if ((mask >> lane & 1) != 0 && value[lane] != 0) votes |= std::uint64_t{1} << lane;
    }
    for (unsigned lane = 0; lane < 32; ++lane) {
      if ((mask >> lane & 1) != 0) value[lane] = votes;
    }
  } else if (done.what != Together::Sync) {
    std::uint64_t given[32];
    for (unsigned lane = 0; lane < 32; ++lane) given[lane] = value[lane];
    for (unsigned lane = 0; lane < 32; ++lane) {
      if ((mask >> lane & 1) == 0) continue;
      // CUDA leaves undefined what a lane outside the mask gives.
      value[lane] = (mask >> source[lane] & 1) != 0 ? given[source[lane]] : kPoison;
    }
  }
  done = meeting[--meetings];
}

const char* name(Together what) {
  switch (what) {
    case Together::Sync: return "__syncwarp";
    case Together::Ballot: return "a vote";
    case Together::Shuffle4: return "a shuffle of 32 bits";
    case Together::Shuffle8: return "a shuffle of 64 bits";
  }
  return "?";
}

}  // namespace gradclip::emulator
