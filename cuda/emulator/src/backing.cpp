// SPDX-License-Identifier: Apache-2.0
#include "backing.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "poison.hpp"

namespace gradclip::emulator {

namespace {

// Poison makes memory real: of large allocations only the ends get it, so that they may exceed this machine's memory.
constexpr std::size_t kWhole = std::size_t{64} << 20;
constexpr std::size_t kEnd = std::size_t{1} << 20;

void poisonEnds(char* memory, std::size_t bytes) {
  if (bytes <= kWhole) {
    poison(memory, bytes);
  } else {
    poison(memory, kEnd);
    poison(memory + bytes - kEnd, kEnd);
  }
}

}  // namespace

void* mapBacking(std::size_t bytes) {
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  poisonEnds(static_cast<char*>(memory), bytes);
  return memory;
}

void* mapRepeated(std::size_t bytes, std::size_t period) {
  void* all = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  auto* memory = static_cast<char*>(all);
  const int file = memfd_create("gradclip", MFD_CLOEXEC);
  bool mapped = file >= 0 && ftruncate(file, static_cast<off_t>(period)) == 0;
  for (std::size_t at = 0; mapped && at < bytes; at += period) {
    mapped = mmap(memory + at, std::min(period, bytes - at), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) !=
             MAP_FAILED;
  }
  if (file >= 0) close(file);
  if (!mapped) {
    munmap(memory, bytes);
    return nullptr;
  }
  poisonEnds(memory, std::min(period, bytes));
  return memory;
}

void unmapBacking(void* memory, std::size_t bytes) { munmap(memory, bytes); }

}  // namespace gradclip::emulator
