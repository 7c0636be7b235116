// SPDX-License-Identifier: Apache-2.0
#include "graphs.hpp"

#include <unordered_map>

#include "call.hpp"
#include "counting.hpp"

namespace gradclip::emulator {

namespace {

using Items = std::shared_ptr<const std::vector<Item>>;

std::unordered_map<cudaGraph_t, Items>& graphs() {
  static auto* all = new std::unordered_map<cudaGraph_t, Items>;
  return *all;
}

std::unordered_map<cudaGraphExec_t, Items>& executables() {
  static auto* all = new std::unordered_map<cudaGraphExec_t, Items>;
  return *all;
}

std::uintptr_t nextHandle = 0x10;  // no pointer: nothing of a graph is looked at through its handle

}  // namespace

cudaGraph_t newGraph(std::vector<Item> items) {
  const auto handle = reinterpret_cast<cudaGraph_t>(nextHandle += 0x10);
  graphs().emplace(handle, std::make_shared<const std::vector<Item>>(std::move(items)));
  return handle;
}

}  // namespace gradclip::emulator

using namespace gradclip::emulator;

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    const auto found = graphs().find(graph);
    if (executable == nullptr || found == graphs().end()) return cudaErrorInvalidValue;
    *executable = reinterpret_cast<cudaGraphExec_t>(nextHandle += 0x10);
    executables().emplace(*executable, found->second);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t handle) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    const auto found = executables().find(executable);
    const auto stream = findStream(handle);
    if (found == executables().end()) return cudaErrorInvalidValue;
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    const Items items = found->second;
    for (const Item& item : *items) {
      const cudaError_t result = enqueue(*stream, item.counted, item.action);
      if (result != cudaSuccess) return result;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    return executables().erase(executable) == 1 ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return deviceCall([&] {
    std::lock_guard<std::mutex> state(world().state);
    return graphs().erase(graph) == 1 ? cudaSuccess : cudaErrorInvalidValue;
  });
}
