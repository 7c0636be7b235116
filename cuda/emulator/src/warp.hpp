// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace gradclip::emulator {

/// What the lanes of a mask do together. Lanes that do different things never meet.
enum class Together : std::uint8_t { Sync, Ballot, Shuffle4, Shuffle8 };

/// Lanes that wait for each other.
struct Meeting {
  Together what;
  unsigned char token;
  std::uint32_t mask;
  std::uint32_t arrived;
};

/// The lanes of a warp by what they wait for, one bit each.
struct Warp {
  static constexpr unsigned kTokens = 64;

  std::uint32_t lanes;     ///< that exist
  std::uint32_t runnable;
  std::uint32_t atBarrier;
  std::uint32_t polling;
  std::uint32_t ended;
  unsigned meetings;
  unsigned nextToken;
  Meeting meeting[32];
  std::uint64_t value[32];      ///< given by a lane, then what it gets
  unsigned char source[32];     ///< lane whose value this lane gets
  char token[kTokens];  ///< a meeting's own, so that a lane that goes on early orders nothing for one that wakes late

  void start(std::uint32_t existing);
  Meeting& join(Together what, std::uint32_t mask);
  /// Gives each lane what it gets, and ends the meeting.
  void complete(Meeting& meeting);
};

const char* name(Together what);

}  // namespace gradclip::emulator
