// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <new>

#include "contexts.hpp"
#include "world.hpp"

namespace gradclip::emulator {

/// Remembers a failure as the calling thread's last error.
cudaError_t record(cudaError_t result) noexcept;
void forgetLastError() noexcept;

cudaError_t faultOf(Device& device);

/// The body of a function of the runtime: no exception leaves it.
template <class Body>
cudaError_t call(Body body) noexcept {
  try {
    return record(body());
  } catch (const std::bad_alloc&) {
    return record(cudaErrorMemoryAllocation);
  } catch (...) {
    return record(cudaErrorUnknown);
  }
}

/// The same where a fault of the current device comes before all else, or ends the work that the body waited for.
template <class Body>
cudaError_t deviceCall(Body body) noexcept {
  return call([&body] {
    needContext();
    Device& device = currentDevice();
    if (const cudaError_t fault = faultOf(device); fault != cudaSuccess) return fault;
    const cudaError_t result = body();
    const cudaError_t fault = faultOf(device);
    return fault != cudaSuccess ? fault : result;
  });
}

}  // namespace gradclip::emulator
