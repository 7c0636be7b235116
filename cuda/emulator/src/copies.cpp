// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>

#include "call.hpp"
#include "counting.hpp"

using namespace gradclip::emulator;

namespace {

/// One side of a copy, as it lies in memory.
struct Side {
  std::uintptr_t address;
  bool known;     ///< every byte is allocated: device or pinned memory
  bool onDevice;  ///< the first byte is in device memory

  explicit Side(const void* p, std::size_t bytes) : address(addressOf(p)) {
    const Allocations& all = world().allocations;
    const Allocation* found = all.find(address);
    onDevice = found != nullptr && found->device != kHostMemory;
    known = found != nullptr && all.pieces(address, bytes, [](char*, std::size_t, const Allocation&) {});
  }
};

/// Where the bytes at an address are and how many of them lie together; null: nowhere.
char* bytesAt(std::uintptr_t address, bool mayBeUnknown, std::size_t& together) {
  if (const Allocation* found = world().allocations.find(address); found != nullptr) {
    together = std::min(together, found->end() - address);
    return found->host(address);
  }
  return mayBeUnknown ? reinterpret_cast<char*>(address) : nullptr;
}

GRADCLIP_UNTRACKED void moveAs(void* context, char* to, const char* from, std::size_t bytes) {
  As as(context);
  std::memmove(to, from, bytes);
}

GRADCLIP_UNTRACKED void fillAs(void* context, char* to, int value, std::size_t bytes) {
  As as(context);
  std::memset(to, value, bytes);
}

cudaError_t copyNow(Stream& stream, std::uintptr_t to, std::uintptr_t from, std::size_t bytes, bool toHost,
                    bool fromHost) {
  while (bytes != 0) {
    std::size_t together = bytes;
    char* target = bytesAt(to, toHost, together);
    const char* source = bytesAt(from, fromHost, together);
    if (target == nullptr || source == nullptr) return cudaErrorIllegalAddress;
    moveAs(stream.context, target, source, together);
    to += together;
    from += together;
    bytes -= together;
  }
  return cudaSuccess;
}

cudaError_t enqueueCopy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, Stream& stream) {
  const Side target(to, bytes);
  const Side source(from, bytes);
  bool toHost = false, fromHost = false;
  switch (kind) {
    case cudaMemcpyHostToHost: toHost = fromHost = true; break;
    case cudaMemcpyHostToDevice: fromHost = true; break;
    case cudaMemcpyDeviceToHost: toHost = true; break;
    case cudaMemcpyDeviceToDevice: break;
    case cudaMemcpyDefault:
      toHost = !target.onDevice;
      fromHost = !source.onDevice;
      break;
    default: return cudaErrorInvalidMemcpyDirection;
  }
  if ((toHost ? target.onDevice : !target.known) || (fromHost ? source.onDevice : !source.known)) {
    return cudaErrorInvalidValue;
  }
  const Counted counted = fromHost && !toHost   ? Counted::CopyToDevice
                          : toHost && !fromHost ? Counted::CopyToHost
                                                : Counted::Nothing;
  return enqueue(stream, counted, [=](Stream& own) {
    return copyNow(own, target.address, source.address, bytes, toHost, fromHost);
  });
}

}  // namespace

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    const auto on = findStream(stream);
    if (on == nullptr) return cudaErrorInvalidResourceHandle;
    return bytes == 0 ? cudaSuccess : enqueueCopy(to, from, bytes, kind, *on);
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return deviceCall([&] {
    if (bytes == 0) return cudaSuccess;
    std::shared_ptr<Work> work;
    {
      std::lock_guard<std::mutex> state(world().state);
      Stream& legacy = *currentDevice().streams.front();
      if (const cudaError_t result = enqueueCopy(to, from, bytes, kind, legacy); result != cudaSuccess) return result;
      work = legacy.tail;
    }
    countSynchronisation();
    finish(work);
    return cudaSuccess;
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    const auto on = findStream(stream);
    if (on == nullptr) return cudaErrorInvalidResourceHandle;
    if (bytes == 0) return cudaSuccess;
    if (!Side(to, bytes).known) return cudaErrorInvalidValue;
    return enqueue(*on, Counted::Nothing, [=](Stream& own) {
      const auto fill = [&](char* host, std::size_t here, const Allocation&) {
        fillAs(own.context, host, value, here);
      };
      return world().allocations.pieces(addressOf(to), bytes, fill) ? cudaSuccess : cudaErrorIllegalAddress;
    });
  });
}
