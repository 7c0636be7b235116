// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include "backing.hpp"
#include "call.hpp"
#include "capture.hpp"
#include "counting.hpp"
#include "gradclip_emulator.hpp"

using namespace gradclip::emulator;

namespace {

constexpr std::size_t kSegmentGrain = 4096;

std::size_t roundUp(std::size_t bytes, std::size_t grain) { return (bytes + grain - 1) / grain * grain; }

/// Addresses for `memory`; unmaps it where there are none.
cudaError_t publish(Device& device, void* memory, std::size_t bytes, std::size_t counted, bool atEnd, void** pointer) {
  if (memory == nullptr) return cudaErrorMemoryAllocation;
  const std::size_t mapped = toPages(bytes);
  const std::uintptr_t place = device.addresses.take(mapped);
  if (place == 0) {
    unmapBacking(memory, mapped);
    return cudaErrorMemoryAllocation;
  }
  const std::uintptr_t base = atEnd ? place + mapped - roundUp(bytes, kAlignment) : place;
  const auto toHost = static_cast<std::intptr_t>(addressOf(memory) - place);
  world().allocations.add({base, bytes, toHost, device.ordinal, counted, place});
  device.used += counted;
  *pointer = reinterpret_cast<void*>(base);
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return deviceCall([&] {
    World& all = world();
    std::lock_guard<std::mutex> state(all.state);
    const std::size_t used = currentDevice().used;
    *total = all.memory;
    *free = used < all.memory ? all.memory - used : 0;
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return deviceCall([&] {
    if (const cudaError_t refused = unsafeCall(); refused != cudaSuccess) return refused;
    if (pointer == nullptr) return cudaErrorInvalidValue;
    if (bytes == 0) {
      *pointer = nullptr;
      return cudaSuccess;
    }
    World& all = world();
    std::lock_guard<std::mutex> execution(all.execution);
    std::lock_guard<std::mutex> state(all.state);
    Device& device = currentDevice();
    const std::size_t counted = roundUp(bytes, kAlignment);
    if (counted < bytes || device.used > all.memory || counted > all.memory - device.used) {
      return cudaErrorMemoryAllocation;
    }
    const cudaError_t result = publish(device, mapBacking(toPages(bytes)), bytes, counted, true, pointer);
    if (result == cudaSuccess) countAllocation();
    return result;
  });
}

cudaError_t cudaFree(void* pointer) {
  return deviceCall([&] {
    if (const cudaError_t refused = unsafeCall(); refused != cudaSuccess) return refused;
    if (pointer == nullptr) return cudaSuccess;
    World& all = world();
    // CUDA frees memory only when the device's work is done.
    countSynchronisation();
    Device* owner = nullptr;
    {
      std::lock_guard<std::mutex> state(all.state);
      const Allocation* found = all.allocations.find(addressOf(pointer));
      if (found == nullptr || found->base != addressOf(pointer) || found->device == kHostMemory) {
        return cudaErrorInvalidValue;
      }
      owner = all.devices[static_cast<std::size_t>(found->device)].get();
    }
    drain(*owner);
    std::lock_guard<std::mutex> execution(all.execution);
    std::lock_guard<std::mutex> state(all.state);
    if (owner->fault != cudaSuccess) return owner->fault;
    const Allocation* found = all.allocations.find(addressOf(pointer));
    if (found == nullptr || found->base != addressOf(pointer)) return cudaErrorInvalidValue;
    const Allocation freed = *found;
    all.allocations.remove(freed.base);
    owner->used -= freed.counted;
    const std::uintptr_t start = freed.base / pageBytes() * pageBytes();
    unmapBacking(freed.host(start), toPages(freed.end() - start));
    if (freed.place != 0) owner->addresses.giveBack(freed.place);
    return cudaSuccess;
  });
}

namespace gradclip::emulator {

cudaError_t allocateRepeated(void** pointer, std::size_t bytes, std::size_t period) noexcept {
  return deviceCall([&] {
    if (pointer == nullptr || bytes == 0 || period == 0 || period % pageBytes() != 0) return cudaErrorInvalidValue;
    World& all = world();
    std::lock_guard<std::mutex> execution(all.execution);
    std::lock_guard<std::mutex> state(all.state);
    return publish(currentDevice(), mapRepeated(toPages(bytes), period), bytes, 0, false, pointer);
  });
}

cudaError_t allocateSegments(void** pointer, std::size_t segmentBytes, unsigned segments) noexcept {
  return deviceCall([&] {
    if (pointer == nullptr || segments == 0 || segmentBytes == 0 || segmentBytes % kSegmentGrain != 0 ||
        segmentBytes % pageBytes() != 0) {
      return cudaErrorInvalidValue;
    }
    World& all = world();
    std::lock_guard<std::mutex> execution(all.execution);
    std::lock_guard<std::mutex> state(all.state);
    Device& device = currentDevice();
    const std::size_t bytes = segmentBytes * segments;
    if (device.used > all.memory || bytes > all.memory - device.used) return cudaErrorMemoryAllocation;
    const cudaError_t result = publish(device, mapBacking(bytes), bytes, bytes, false, pointer);
    if (result != cudaSuccess) return result;
    Allocation piece = *all.allocations.find(addressOf(*pointer));
    all.allocations.remove(piece.base);
    piece.bytes = piece.counted = segmentBytes;
    piece.place = 0;  // The addresses are never given out again.
    for (unsigned i = 0; i < segments; ++i, piece.base += segmentBytes) all.allocations.add(piece);
    return cudaSuccess;
  });
}

cudaError_t memoryRange(const void* address, void** base, std::size_t* size) noexcept {
  return deviceCall([&] {
    World& all = world();
    std::lock_guard<std::mutex> state(all.state);
    const Allocation* found = all.allocations.find(addressOf(address));
    if (found == nullptr) return cudaErrorInvalidValue;
    if (base != nullptr) *base = reinterpret_cast<void*>(found->base);
    if (size != nullptr) *size = found->bytes;
    return cudaSuccess;
  });
}

void* inspect(const void* address, std::size_t bytes) noexcept {
  World& all = world();
  std::lock_guard<std::mutex> state(all.state);
  const Allocation* found = all.allocations.find(addressOf(address));
  if (found == nullptr || found->end() - addressOf(address) < bytes) return nullptr;
  return found->host(addressOf(address));
}

}  // namespace gradclip::emulator
