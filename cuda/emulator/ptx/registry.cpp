// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "../src/world.hpp"
#include "ptx.hpp"

namespace gradclip::ptx {

namespace {

struct Translated {
  void (*run)(const unsigned char*);
  std::size_t bytes;
  std::string name;
  KernelCost cost{};
};

/// By block, of which the device holds no more at once, and thread.
Cost costs[64][1024];

std::map<void (*)(), Translated>& kernels() {
  static auto* all = new std::map<void (*)(), Translated>;
  return *all;
}

[[noreturn]] void die(const char* why, const char* what) {
  std::fprintf(stderr, "gradclip ptx: %s %s\n", why, what);
  std::abort();
}

void atLeast(std::uint32_t& most, std::uint32_t value) { most = value > most ? value : most; }

/// One thread of a launch.
void runThread(void (*kernel)(), const void* params) {
  Translated& translated = kernels().find(kernel)->second;
  Cost& own = Cost::mine();
  own = {};
  translated.run(static_cast<const unsigned char*>(params));
  Cost& most = translated.cost.most;
  ++translated.cost.threads;
  atLeast(most.loads, own.loads);
  atLeast(most.vectors, own.vectors);
  atLeast(most.waits, own.waits);
  atLeast(most.branches, own.branches);
}

emulator::detail::Kernel translationOf(const emulator::detail::Kernel& kernel, std::size_t bytes) {
  const auto found = kernels().find(kernel.kernel);
  if (found == kernels().end()) die("a kernel without a translation is launched", "");
  if (found->second.bytes != bytes) die("the host has other parameters than", found->second.name.c_str());
  ++found->second.cost.launches;
  emulator::detail::Kernel translated = kernel;
  translated.invoke = runThread;
  return translated;
}

}  // namespace

Kernel::Kernel(void (*compiled)(), void (*translated)(const unsigned char*), std::size_t bytes, const char* name) {
  kernels()[compiled] = {translated, bytes, name, {}};
  emulator::detail::substitute = translationOf;
  emulator::detail::ptxVersion = GRADCLIP_PTX_ARCHITECTURE;
}

Cost& Cost::mine() { return costs[blockIdx.x % 64][threadIdx.x]; }

KernelCost costOf(const char* name) {
  const KernelCost* found = nullptr;
  for (const auto& [compiled, translated] : kernels()) {
    if (translated.name.find(name) == std::string::npos) continue;
    if (found != nullptr) die("two kernels are called", name);
    found = &translated.cost;
  }
  if (found == nullptr) die("no kernel is called", name);
  return *found;
}

void resetCosts() {
  for (auto& entry : kernels()) entry.second.cost = {};
}

bool isGlobal(std::uint64_t address) {
  return emulator::world().allocations.find(static_cast<std::uintptr_t>(address)) != nullptr;
}

}  // namespace gradclip::ptx
