// SPDX-License-Identifier: Apache-2.0
// A profiler: NVTX loads it by NVTX_INJECTION64_PATH, and cuda_profiler_test reads what it has counted.
#include <nvtx3/nvToolsExt.h>

#include <cstring>

extern "C" {

int profiledOpen = 0;
int profiledClips = 0;

static int push(const char* name) {
  if (std::strcmp(name, "gradclip clip") == 0) ++profiledClips;
  return profiledOpen++;
}

static int pop() { return --profiledOpen; }

int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t exportTable) {
  const auto* const callbacks = static_cast<const NvtxExportTableCallbacks*>(exportTable(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable functions = nullptr;
  unsigned size = 0;
  if (callbacks == nullptr || callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &functions, &size) == 0) return 0;
  if (size <= NVTX_CBID_CORE_RangePop) return 0;
  *functions[NVTX_CBID_CORE_RangePushA] = reinterpret_cast<NvtxFunctionPointer>(push);
  *functions[NVTX_CBID_CORE_RangePop] = reinterpret_cast<NvtxFunctionPointer>(pop);
  return 1;
}
}
