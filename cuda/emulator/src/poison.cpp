// SPDX-License-Identifier: Apache-2.0
#include "poison.hpp"

#include "gradclip_emulator.hpp"
#include "sanitizers.hpp"

namespace gradclip::emulator {

GRADCLIP_UNTRACKED void poison(void* memory, std::size_t bytes) {
  auto* words = static_cast<std::uint64_t*>(memory);
  for (std::size_t i = 0; i < bytes / 8; ++i) words[i] = kPoison;
  auto* rest = reinterpret_cast<unsigned char*>(words + bytes / 8);
  for (std::size_t i = 0; i < bytes % 8; ++i) rest[i] = static_cast<unsigned char>(kPoison >> (8 * i));
}

}  // namespace gradclip::emulator
