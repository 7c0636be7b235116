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
  REQUIRE_OK(CudaPlan::create(0, &piece, 1, {1, 1, 0}, &plan));
  std::int64_t ticket = 0;
  REQUIRE_OK(plan->globalNorm(0, kL1, &ticket));
  REQUIRE_OK(plan->synchronize());
  CHECK(static_cast<const Slot*>(plan->ring())[ticket].globalNorm == 0.5 * static_cast<double>(elements));
  REQUIRE_OK(CudaPlan::destroy(plan));
  CHECK(cudaFree(memory) == cudaSuccess);
}

TEST_CASE("a million rows of 64 elements") {
  const std::size_t rows = std::size_t{1} << 20, length = 64;
  std::int64_t address = 0;
  REQUIRE_OK(gradclip::cudaAllocate(0, static_cast<std::int64_t>(rows * length * 2), &address));
  void* const memory = reinterpret_cast<void*>(static_cast<std::uintptr_t>(address));
  auto* values = static_cast<std::uint16_t*>(emulator::inspect(memory, rows * length * 2));
  REQUIRE(values != nullptr);
  const std::uint16_t half = 0x3800, two = 0x4000;  // float16
  std::fill(values, values + rows * length, half);
  values[12345 * length + 7] = two;
  std::vector<Piece> table;
  for (std::size_t i = 0; i < rows; ++i) {
    const auto row = static_cast<std::int32_t>(i);
    table.push_back({address + row * std::int64_t{length * 2}, 0, length, row, row, DType::Float16});
  }
  CudaPlan* plan = nullptr;
  REQUIRE_OK(CudaPlan::create(0, table.data(), rows, {rows, rows, 0}, &plan));
  std::int64_t ticket = 0;
  // Every row has norm 4 but for one, whose norm is the root of 63 / 4 + 4.
  REQUIRE_OK(plan->clipByNorm(0, normRule(Granularity::Segment, kL2, 4, 0, Policy::Propagate), {}, &ticket));
  REQUIRE_OK(plan->synchronize());
  const Slot slot = static_cast<const Slot*>(plan->ring())[ticket];
  CHECK(slot.globalNorm == std::sqrt(static_cast<double>(rows - 1) * 16 + 19.75));
  CHECK(has(slot, gradclip::kClipped));
  std::size_t changed = 0;
  for (std::size_t i = 0; i < rows * length; ++i)
    changed += values[i] != (i == 12345 * length + 7 ? two : half) ? 1 : 0;
  CHECK(changed == length);
  double coefficient = 0;
  REQUIRE_OK(plan->coefficient(12345, &coefficient));
  CHECK(coefficient == 4 / std::sqrt(19.75));
  REQUIRE_OK(CudaPlan::destroy(plan));
  REQUIRE_OK(gradclip::cudaRelease(0, address));
}
