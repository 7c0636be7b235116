// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

const char* cudaGetErrorName(cudaError_t error) {
#define GRADCLIP_NAME(name, code, text) \
  case name: return #name;
  switch (error) { GRADCLIP_CUDA_ERRORS(GRADCLIP_NAME) }
#undef GRADCLIP_NAME
  return "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
#define GRADCLIP_TEXT(name, code, text) \
  case name: return text;
  switch (error) { GRADCLIP_CUDA_ERRORS(GRADCLIP_TEXT) }
#undef GRADCLIP_TEXT
  return "unrecognized error code";
}
