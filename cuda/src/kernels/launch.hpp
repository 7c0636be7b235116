// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <type_traits>

#if defined(GRADCLIP_EMULATED)
#include <gradclip_emulator.hpp>
#endif

namespace gradclip {

/// The one way to launch: g++ cannot parse <<<>>>, and the emulator counts here.
template <class P>
cudaError_t launch(void (*kernel)(P), unsigned grid, unsigned block, std::size_t sharedBytes, cudaStream_t stream,
                   const P& params) {
  static_assert(std::is_trivially_copyable_v<P>, "kernel parameters are copied as bytes");
#if defined(GRADCLIP_EMULATED)
  return emulator::enqueue(kernel, grid, block, sharedBytes, stream, params);
#else
  void* arguments[] = {const_cast<P*>(&params)};
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(grid), dim3(block), arguments, sharedBytes,
                          stream);
#endif
}

/// The same right behind another kernel of ours, which is still running when this one is brought up.
template <class P>
cudaError_t launchBehind(void (*kernel)(P), unsigned grid, unsigned block, std::size_t sharedBytes, cudaStream_t stream,
                         const P& params) {
#if defined(GRADCLIP_EMULATED)
  return emulator::enqueueBehind(kernel, grid, block, sharedBytes, stream, params);
#else
  void* arguments[] = {const_cast<P*>(&params)};
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(grid);
  config.blockDim = dim3(block);
  config.dynamicSmemBytes = sharedBytes;
  config.stream = stream;
  config.attrs = &early;
  config.numAttrs = 1;
  return cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel), arguments);
#endif
}

/// The same for blocks that all run at once, so that one may wait for another; fails where the device does not hold as many.
template <class P>
cudaError_t launchTogether(void (*kernel)(P), unsigned grid, unsigned block, std::size_t sharedBytes, cudaStream_t stream,
                           const P& params) {
#if defined(GRADCLIP_EMULATED)
  return emulator::enqueueTogether(kernel, grid, block, sharedBytes, stream, params);
#else
  void* arguments[] = {const_cast<P*>(&params)};
  return cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel), dim3(grid), dim3(block), arguments, sharedBytes,
                                     stream);
#endif
}

}  // namespace gradclip
