// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstring>

#include "call.hpp"
#include "capture.hpp"
#include "counting.hpp"
#include "poison.hpp"

using namespace gradclip::emulator;

namespace {

constexpr int kCanary = 0xc5;  // around an allocation, as far as its pages go

bool intact(std::uintptr_t from, std::uintptr_t to) {
  for (std::uintptr_t at = from; at < to; ++at) {
    if (*reinterpret_cast<const unsigned char*>(at) != kCanary) return false;
  }
  return true;
}

std::uintptr_t pagesEnd(const Allocation& allocation) {
  return allocation.place + toPages(allocation.bytes);
}

}  // namespace

cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned flags) {
  return deviceCall([&] {
    if (const cudaError_t refused = unsafeCall(); refused != cudaSuccess) return refused;
    constexpr unsigned known = cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined;
    if (pointer == nullptr || (flags & ~known) != 0) return cudaErrorInvalidValue;
    if (bytes == 0) {
      *pointer = nullptr;
      return cudaSuccess;
    }
    World& all = world();
    std::lock_guard<std::mutex> execution(all.execution);
    std::lock_guard<std::mutex> state(all.state);
    const std::size_t mapped = toPages(bytes);
    const std::uintptr_t place = all.hostAddresses.take(mapped);
    if (place == 0) return cudaErrorMemoryAllocation;
    void* pages = reinterpret_cast<void*>(place);
    if (mmap(pages, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
      all.hostAddresses.giveBack(place);
      return cudaErrorMemoryAllocation;
    }
    const std::uintptr_t base = place + mapped - (bytes + kAlignment - 1) / kAlignment * kAlignment;
    std::memset(pages, kCanary, mapped);
    poison(reinterpret_cast<void*>(base), bytes);
    all.allocations.add({base, bytes, 0, kHostMemory, 0, place});
    *pointer = reinterpret_cast<void*>(base);
    countAllocation();
    return cudaSuccess;
  });
}

cudaError_t cudaFreeHost(void* pointer) {
  return deviceCall([&] {
    if (const cudaError_t refused = unsafeCall(); refused != cudaSuccess) return refused;
    if (pointer == nullptr) return cudaSuccess;
    World& all = world();
    // Any device may have work for pinned memory.
    countSynchronisation();
    for (const auto& device : all.devices) drain(*device);
    std::lock_guard<std::mutex> execution(all.execution);
    std::lock_guard<std::mutex> state(all.state);
    Device& device = currentDevice();
    if (device.fault != cudaSuccess) return device.fault;
    const Allocation* found = all.allocations.find(addressOf(pointer));
    if (found == nullptr || found->base != addressOf(pointer) || found->device != kHostMemory) {
      return cudaErrorInvalidValue;
    }
    const Allocation freed = *found;
    const bool whole = intact(freed.place, freed.base) && intact(freed.end(), pagesEnd(freed));
    all.allocations.remove(freed.base);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (mmap(reinterpret_cast<void*>(freed.place), toPages(freed.bytes), PROT_NONE, flags, -1, 0) != MAP_FAILED) {
      all.hostAddresses.giveBack(freed.place);
    }
    if (!whole) {
      std::fprintf(
          stderr, "gradclip emulator: %zu bytes of pinned memory at %p were freed with bytes beside them overwritten\n",
          freed.bytes, pointer);
      device.fault = cudaErrorIllegalAddress;
    }
    return device.fault;
  });
}

cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned flags) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    const Allocation* found = world().allocations.find(addressOf(host));
    if (device == nullptr || flags != 0 || found == nullptr || found->device != kHostMemory) {
      return cudaErrorInvalidValue;
    }
    *device = host;
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return deviceCall([&] {
    if (attributes == nullptr || pointer == nullptr) return cudaErrorInvalidValue;
    std::lock_guard<std::mutex> state(world().state);
    const Allocation* found = world().allocations.find(addressOf(pointer));
    void* p = const_cast<void*>(pointer);
    if (found == nullptr) {
      *attributes = {cudaMemoryTypeUnregistered, -2, nullptr, p};  // -2: CUDA's device of what it doesn't know
    } else if (found->device == kHostMemory) {
      *attributes = {cudaMemoryTypeHost, currentDevice().ordinal, p, p};
    } else {
      *attributes = {cudaMemoryTypeDevice, found->device, p, nullptr};
    }
    return cudaSuccess;
  });
}
