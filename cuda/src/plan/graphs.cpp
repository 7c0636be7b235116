// SPDX-License-Identifier: Apache-2.0
#include "plan/status.hpp"

namespace gradclip {
namespace {

cudaGraphExec_t graphOf(std::int64_t handle) {
  return reinterpret_cast<cudaGraphExec_t>(static_cast<std::uintptr_t>(handle));
}

}  // namespace

CudaStatus cudaBeginCapture(int device, std::int64_t stream) {
  return guarded(device, [&] {
    // What other threads do meanwhile is no part of it, and not forbidden.
    return called(cudaStreamBeginCapture(streamOf(stream), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  });
}

CudaStatus cudaFinishCapture(int device, std::int64_t stream, std::int64_t* graph) {
  return guarded(device, [&] {
    cudaGraph_t captured = nullptr;
    if (auto s = called(cudaStreamEndCapture(streamOf(stream), &captured), "cudaStreamEndCapture"); !s.ok()) return s;
    cudaGraphExec_t executable = nullptr;
#if CUDART_VERSION < 12000
    const cudaError_t error = cudaGraphInstantiateWithFlags(&executable, captured, 0);
#else
    const cudaError_t error = cudaGraphInstantiate(&executable, captured, 0);
#endif
    const CudaStatus status = called(error, "cudaGraphInstantiate");
    cudaGraphDestroy(captured);
    *graph = addressOf(executable);
    return status;
  });
}

CudaStatus cudaLaunchGraph(int device, std::int64_t graph, std::int64_t stream) {
  return guarded(device, [&] { return called(cudaGraphLaunch(graphOf(graph), streamOf(stream)), "cudaGraphLaunch"); });
}

CudaStatus cudaDestroyGraph(int device, std::int64_t graph) {
  return guarded(device, [&] { return called(cudaGraphExecDestroy(graphOf(graph)), "cudaGraphExecDestroy"); });
}

}  // namespace gradclip
