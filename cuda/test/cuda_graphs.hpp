// SPDX-License-Identifier: Apache-2.0
// Streams of a device, and what they captured.
#pragma once

#include "cuda_support.hpp"

class Stream {
 public:
  Stream() { REQUIRE_OK(gradclip::cudaCreateStream(0, &handle_)); }
  ~Stream() { CHECK(gradclip::cudaDestroyStream(0, handle_).ok()); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  operator std::int64_t() const { return handle_; }
  operator cudaStream_t() const { return reinterpret_cast<cudaStream_t>(static_cast<std::uintptr_t>(handle_)); }

 private:
  std::int64_t handle_ = 0;
};

/// What a stream was given while work ran, as a graph.
class Graph {
 public:
  template <class Work>
  Graph(cudaStream_t stream, const Work& work) : stream_(stream) {
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
    work();
    cudaGraph_t graph = nullptr;
    REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&executable_, graph, 0) == cudaSuccess);
    REQUIRE(cudaGraphDestroy(graph) == cudaSuccess);
  }
  ~Graph() { CHECK(cudaGraphExecDestroy(executable_) == cudaSuccess); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void replay() { REQUIRE(cudaGraphLaunch(executable_, stream_) == cudaSuccess); }
  void wait() { REQUIRE(cudaStreamSynchronize(stream_) == cudaSuccess); }

 private:
  cudaGraphExec_t executable_ = nullptr;
  cudaStream_t stream_;
};

inline Slot latest(Bound& bound, std::int32_t capture) {
  const Slot slot = *static_cast<const Slot*>(bound->captureSlot(capture));
  REQUIRE(slot.begun == slot.ticket);
  return slot;
}
