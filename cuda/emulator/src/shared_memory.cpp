// SPDX-License-Identifier: Apache-2.0
#include "shared_memory.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#include "address_space.hpp"
#include "poison.hpp"
#include "sanitizers.hpp"

namespace gradclip::emulator {

namespace {

constexpr std::size_t kGuard = 64 << 10;  // a multiple of every page size
constexpr std::size_t kArena = 256 << 10;
static_assert(kArena >= SharedMemory::kMost);

GRADCLIP_UNTRACKED void map(char* from, std::size_t bytes) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  if (mmap(from, bytes, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) throw std::bad_alloc();
}

}  // namespace

SharedMemory::SharedMemory() {
  void* all = mmap(nullptr, kArena + 2 * kGuard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) throw std::bad_alloc();
  arena_ = static_cast<char*>(all) + kGuard;
  base_ = arena_ + kArena;
  map(arena_, kArena);
}

GRADCLIP_UNTRACKED void SharedMemory::start(std::size_t bytes, void* context) {
  As as(context);
  bytes_ = bytes;
  base_ = arena_ + kArena - (bytes + 15) / 16 * 16;
  if (kTracksRaces && bytes != 0) {
    // Else a block would race with the one before, which had other memory.
    const std::size_t pages = toPages(bytes);
    map(arena_ + kArena - pages, pages);
  }
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(arena_, kArena);
#endif
  poison(base_, (bytes + 15) / 16 * 16);
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(arena_, static_cast<std::size_t>(base_ - arena_));
  __asan_poison_memory_region(base_ + bytes, static_cast<std::size_t>(arena_ + kArena - (base_ + bytes)));
#endif
}

GRADCLIP_UNTRACKED bool SharedMemory::holds(const void* p, std::size_t bytes) const {
  const auto* address = static_cast<const char*>(p);
  return bytes <= bytes_ && address >= base_ && address <= base_ + (bytes_ - bytes);
}

}  // namespace gradclip::emulator
