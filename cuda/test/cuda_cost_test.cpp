// SPDX-License-Identifier: Apache-2.0
// How long the chains of dependent loads are in the compiler's own code, for few tensors and many: a load that waits for another
// where it need not is a failing test.
#include "cost.hpp"
#include "cuda_support.hpp"

using gradclip::ptx::costOf;
using gradclip::ptx::KernelCost;

namespace {

KernelCost measured(std::size_t tensors, std::size_t elements, Scope scope) {
  std::vector<Tensor> many(tensors, Tensor{DType::Float32, normal(DType::Float32, elements, 1)});
  Bound bound(std::move(many));
  gradclip::ptx::resetCosts();
  bound.clip(normRule(scope, kL2, 1e-3, 0, Policy::Propagate));
  return costOf("measureKernelINS_9SquareSum");
}

void print(const char* what, std::size_t tensors, std::size_t elements) {
  for (const char* name : {"measureKernelINS_9SquareSum", "decideKernelILb0", "scaleKernel"}) {
    const KernelCost cost = costOf(name);
    std::printf("%s %zu x %zu %s: launches %ld loads %u vectors %u waits %u branches %u\n", what, tensors, elements, name,
                static_cast<long>(cost.launches), cost.most.loads, cost.most.vectors, cost.most.waits, cost.most.branches);
  }
}

}  // namespace

TEST_CASE("waits") {
  for (Scope scope : {Scope::All, Scope::Segment}) {
    for (std::size_t tensors : {1, 161, 1000, 10000}) {
      measured(tensors, 4, scope);
      print(scope == Scope::All ? "all" : "segment", tensors, 4);
    }
    measured(1, 2048 * 1024, scope);
    print("one", 1, 2048 * 1024);
    measured(100, 2048 * 100, scope);
    print("hundred", 100, 2048 * 100);
  }
}
