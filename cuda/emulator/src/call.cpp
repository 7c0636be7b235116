// SPDX-License-Identifier: Apache-2.0
#include "call.hpp"

namespace gradclip::emulator {

namespace {
thread_local cudaError_t last = cudaSuccess;
}

cudaError_t record(cudaError_t result) noexcept {
  if (result != cudaSuccess) last = result;
  return result;
}

void forgetLastError() noexcept { last = cudaSuccess; }

cudaError_t faultOf(Device& device) {
  std::lock_guard<std::mutex> state(world().state);
  return device.fault;
}

}  // namespace gradclip::emulator

using namespace gradclip::emulator;

cudaError_t cudaPeekAtLastError() {
  const cudaError_t fault = faultOf(currentDevice());
  return fault != cudaSuccess ? fault : last;
}

cudaError_t cudaGetLastError() {
  const cudaError_t result = cudaPeekAtLastError();
  last = cudaSuccess;
  return result;
}
