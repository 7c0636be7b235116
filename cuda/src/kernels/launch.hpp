// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <type_traits>

#if defined(GRADCLIP_EMULATED)
#include <gradclip_emulator.hpp>
#endif

namespace gradclip {

#if defined(GRADCLIP_EMULATED)
using emulator::How;
#else
/// What a launch asks for.
enum class How {
  Alone,
  Behind,   ///< right behind another kernel of ours, which still runs when this one is brought up
  Together  ///< all blocks run at once, so that one may wait for another; fails where the device does not hold as many
};
#endif

/// The one way to launch: g++ cannot parse <<<>>>, and the emulator counts here.
template <class P>
cudaError_t launch(void (*kernel)(P), unsigned grid, unsigned block, std::size_t sharedBytes, cudaStream_t stream,
                   const P& params, How how = How::Alone) {
  static_assert(std::is_trivially_copyable_v<P>, "kernel parameters are copied as bytes");
#if defined(GRADCLIP_EMULATED)
  return emulator::enqueue(kernel, grid, block, sharedBytes, stream, params, how);
#else
  const void* const code = reinterpret_cast<const void*>(kernel);
  void* arguments[] = {const_cast<P*>(&params)};
  if (how == How::Alone) return cudaLaunchKernel(code, dim3(grid), dim3(block), arguments, sharedBytes, stream);
  if (how == How::Together)
    return cudaLaunchCooperativeKernel(code, dim3(grid), dim3(block), arguments, sharedBytes, stream);
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  const cudaLaunchConfig_t config{dim3(grid), dim3(block), sharedBytes, stream, &early, 1};
  return cudaLaunchKernelExC(&config, code, arguments);
#endif
}

}  // namespace gradclip
