// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "gradclip_emulator.hpp"

using namespace gradclip::emulator;

#define REQUIRE_OK(call) REQUIRE((call) == cudaSuccess)

/// For tests that read or write too early on purpose.
template <class T>
GRADCLIP_UNTRACKED T peek(const T* p) {
  return *p;
}

template <class T>
GRADCLIP_UNTRACKED void poke(T* p, T value) {
  *p = value;
}

/// Device memory of `count` elements.
template <class T>
class Device {
 public:
  explicit Device(std::size_t count) : count_(count) { REQUIRE_OK(cudaMalloc(&p_, count * sizeof(T))); }
  explicit Device(const std::vector<T>& values) : Device(values.size()) {
    REQUIRE_OK(cudaMemcpy(p_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~Device() { cudaFree(p_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  operator T*() const { return p_; }

  std::vector<T> values() const {
    std::vector<T> values(count_);
    REQUIRE_OK(cudaMemcpy(values.data(), p_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  T* p_ = nullptr;
  std::size_t count_;
};

/// Pinned host memory.
template <class T>
class Pinned {
 public:
  explicit Pinned(std::size_t count) { REQUIRE_OK(cudaHostAlloc(&p_, count * sizeof(T), cudaHostAllocMapped)); }
  ~Pinned() { cudaFreeHost(p_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

  operator T*() const { return p_; }

 private:
  T* p_ = nullptr;
};

class TestStream {
 public:
  explicit TestStream(unsigned flags = cudaStreamNonBlocking) {
    REQUIRE_OK(cudaStreamCreateWithFlags(&stream_, flags));
  }
  ~TestStream() { cudaStreamDestroy(stream_); }
  TestStream(const TestStream&) = delete;
  TestStream& operator=(const TestStream&) = delete;

  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class TestEvent {
 public:
  TestEvent() { REQUIRE_OK(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  ~TestEvent() { cudaEventDestroy(event_); }
  TestEvent(const TestEvent&) = delete;
  TestEvent& operator=(const TestEvent&) = delete;

  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Launches and waits.
template <class P>
cudaError_t launched(void (*kernel)(P), unsigned grid, unsigned block, const P& params, std::size_t sharedBytes = 0) {
  const cudaError_t result = enqueue(kernel, grid, block, sharedBytes, nullptr, params);
  return result != cudaSuccess ? result : cudaStreamSynchronize(nullptr);
}

/// The launch ends with this fault, which stays until it is reset.
template <class P>
void requireFault(cudaError_t fault, void (*kernel)(P), unsigned grid, unsigned block, const P& params,
                  std::size_t sharedBytes = 0) {
  CHECK(launched(kernel, grid, block, params, sharedBytes) == fault);
  CHECK(cudaStreamSynchronize(nullptr) == fault);
  void* p = nullptr;
  CHECK(cudaMalloc(&p, 8) == fault);
  CHECK(cudaGetLastError() == fault);
  CHECK(cudaGetLastError() == fault);
  CHECK(enqueue(kernel, grid, block, sharedBytes, nullptr, params) == fault);
  reset();
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
}
