// SPDX-License-Identifier: Apache-2.0
// Gives a captured clip or step other numbers: they travel as a kernel's parameters, so no host memory has to stay for
// a copy.
#include "kernels/device_words.cuh"
#include "kernels/launches.hpp"
#include "kernels/launch.hpp"

namespace gradclip {

__global__ void setNumbersKernel(const SetNumbersParams params) {
  if (threadIdx.x != 0) return;
  Numbers* const to = params.capture.numbers;
  storeGlobal(&to->limit.max, params.rule.limit.max);
  storeGlobal(&to->limit.length, params.rule.limit.length);
  storeGlobal(&to->limit.epsilon, params.rule.limit.epsilon);
  storeGlobal(&to->limit.inverseScale, params.rule.limit.inverseScale);
  storeGlobal(&to->min, params.rule.min);
  storeGlobal(&to->max, params.rule.max);
  storeGlobal(&to->owner, params.capture.id);
}

cudaError_t enqueueSetNumbers(cudaStream_t stream, const SetNumbersParams& params) {
  return launch(setNumbersKernel, 1, 32, 0, stream, params);
}

__global__ void setUpdateKernel(const SetUpdateParams params) {
  if (threadIdx.x != 0) return;
  storeStruct(&params.capture.numbers->update, CapturedUpdate{params.numbers, params.capture.id, 0});
}

cudaError_t enqueueSetUpdate(cudaStream_t stream, const SetUpdateParams& params) {
  return launch(setUpdateKernel, 1, 32, 0, stream, params);
}

}  // namespace gradclip
