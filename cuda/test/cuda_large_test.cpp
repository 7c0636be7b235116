// SPDX-License-Identifier: Apache-2.0
// More elements than 32 bits count.
#include "cuda_support.hpp"

TEST_CASE("a fold of three levels") {
  // Runs of runs from level to level; every element is the same, so the sums are exact. 1 Mi + 1 tiles share memory.
  void* memory = nullptr;
  const std::size_t elements = (std::size_t{1} << 31) + 1;
  REQUIRE(emulator::allocateRepeated(&memory, elements * 4, 1 << 20) == cudaSuccess);
  auto* values = static_cast<float*>(emulator::inspect(memory, 1 << 20));
  REQUIRE(values != nullptr);
  std::fill(values, values + (1 << 18), 0.5f);
  const auto address = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(memory));
  const Piece piece{address, 0, static_cast<std::int64_t>(elements), 0, 0, DType::Float32};
  CudaPlan* plan = nullptr;
  REQUIRE_OK(CudaPlan::create(0, &piece, 1, 1, &plan));
  std::int64_t ticket = 0;
  REQUIRE_OK(plan->globalNorm(0, kL1, &ticket));
  REQUIRE_OK(plan->synchronize());
  CHECK(static_cast<const Slot*>(plan->ring())[ticket].totalNorm == 0.5 * static_cast<double>(elements));
  REQUIRE_OK(CudaPlan::destroy(plan));
  CHECK(cudaFree(memory) == cudaSuccess);
}
