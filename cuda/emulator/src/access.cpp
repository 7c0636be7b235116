// SPDX-License-Identifier: Apache-2.0
#include "access.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "block.hpp"
#include "counting.hpp"
#include "world.hpp"

namespace gradclip::emulator {

namespace {

/// An allocation as the last access near an address found it, so that most accesses need no search.
struct Window {
  std::uintptr_t base;
  std::size_t bytes;
  std::intptr_t toHost;
  bool isHost;
};

constexpr unsigned kWindows = 64;
constexpr unsigned kWindowShift = 16;
Window windows[kWindows];
bool lastIsHost = false;

GRADCLIP_UNTRACKED void refuse(cudaError_t code, const char* what, std::uintptr_t address, std::size_t bytes,
                               const char* why) {
  char text[512];
  std::snprintf(text, sizeof(text), "%s of %zu bytes at 0x%" PRIxPTR ": %s", what, bytes, address, why);
  Block::instance().fault(code, text);
}

GRADCLIP_UNTRACKED void* search(std::uintptr_t address, std::size_t bytes, const char* what) {
  if (!Block::instance().running()) {
    std::fprintf(stderr, "gradclip emulator: %s of global memory outside a kernel\n", what);
    std::abort();
  }
  if ((address & (bytes - 1)) != 0) {
    refuse(cudaErrorMisalignedAddress, what, address, bytes, "not aligned to its size");
  }
  const World& all = world();
  const Allocation* found = all.allocations.find(address);
  if (found == nullptr || found->end() - address < bytes) {
    char why[256];
    all.allocations.describe(address, why, sizeof(why));
    refuse(cudaErrorIllegalAddress, what, address, bytes, why);
  }
  if (found->device != kHostMemory && found->device != all.running->ordinal) {
    refuse(cudaErrorIllegalAddress, what, address, bytes, "memory of another device");
  }
  Window& window = windows[address >> kWindowShift & (kWindows - 1)];
  window = {found->base, found->bytes, found->toHost, found->device == kHostMemory};
  lastIsHost = window.isHost;
  return found->host(address);
}

GRADCLIP_UNTRACKED inline void* resolve(const void* p, std::size_t bytes, const char* what) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  if (Block::instance().early()) {
    refuse(cudaErrorLaunchFailure, what, address, bytes, "the kernel before may still run, and was not waited for");
  }
  const Window& window = windows[address >> kWindowShift & (kWindows - 1)];
  const std::size_t offset = address - window.base;
  if (offset >= window.bytes || window.bytes - offset < bytes || (address & (bytes - 1)) != 0) {
    return search(address, bytes, what);
  }
  lastIsHost = window.isHost;
  return reinterpret_cast<void*>(address + static_cast<std::uintptr_t>(window.toHost));
}

}  // namespace

void forgetWindows() {
  for (Window& window : windows) window = {};
}

namespace detail {

GRADCLIP_UNTRACKED void* target(const void* p, std::size_t bytes, bool write) {
  ++kernelAccesses;
  return resolve(p, bytes, write ? "write" : "read");
}

GRADCLIP_UNTRACKED unsigned poll(const unsigned* p) {
  Block::instance().giveWay();
  return __atomic_load_n(static_cast<const unsigned*>(target(p, sizeof(unsigned), false)), __ATOMIC_RELAXED);
}

GRADCLIP_UNTRACKED void* atomicTarget(void* p, std::size_t bytes) {
  Block::instance().note();
  if (Block::instance().sharedMemory().holds(p, bytes)) return p;
  return resolve(p, bytes, "atomic operation");
}

GRADCLIP_UNTRACKED bool polledByHost(const void*) { return lastIsHost; }

void storeShared(void* target, std::uint64_t bits, std::size_t bytes) {
  const bool fenced = Block::instance().fencedForSystem();
  const auto store = [bits, fenced](auto* to) {
    const auto value = static_cast<std::remove_pointer_t<decltype(to)>>(bits);
    if (fenced) {
      __atomic_store_n(to, value, __ATOMIC_RELEASE);
    } else {
      __atomic_store_n(to, value, __ATOMIC_RELAXED);
    }
  };
  switch (bytes) {
    case 1: return store(static_cast<std::uint8_t*>(target));
    case 2: return store(static_cast<std::uint16_t*>(target));
    case 4: return store(static_cast<std::uint32_t*>(target));
    case 8: return store(static_cast<std::uint64_t*>(target));
    default: std::abort();
  }
}

GRADCLIP_UNTRACKED void* sharedMemory(std::size_t alignment) {
  Block& block = Block::instance();
  if (alignment > 16) block.fault(cudaErrorMisalignedAddress, "shared memory is aligned to 16 bytes");
  return block.sharedMemory().base();
}

}  // namespace detail

}  // namespace gradclip::emulator
