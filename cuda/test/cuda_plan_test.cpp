// SPDX-License-Identifier: Apache-2.0
// What a call costs, what rebind does, which pieces are refused, and what a fault leaves.
#include <memory>

#include "cuda_support.hpp"

namespace {

std::vector<Tensor> many(std::size_t count) {
  std::mt19937 random(5);
  std::vector<Tensor> tensors;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t length = random() % 10 == 0 ? random() % 6000 : random() % 90;
    const DType dtype = kAllTypes[random() % 4];
    tensors.push_back({dtype, normal(dtype, length, 1, static_cast<unsigned>(i)), random() % 4});
  }
  return tensors;
}

struct Cost {
  std::int64_t launches, copies, synchronisations;
};

void checkCost(const Cost& most) {
  if (!kEmulated) return;
  const emulator::Counters counters = emulator::counters();
  CHECK(counters.launches <= most.launches);
  CHECK(counters.launches > 0);
  CHECK(counters.copiesToDevice == most.copies);
  CHECK(counters.copiesToHost == 0);
  CHECK(counters.allocations == 0);
  CHECK(counters.synchronisations == most.synchronisations);
  emulator::resetCounters();
}

void checkCosts(std::size_t count) {
  Bound bound(many(count));
  std::int64_t ticket = 0;
  emulator::resetCounters();
  for (NormOf norm : {kL1, kL2, kInfNorm}) {
    for (bool perTensor : {false, true}) {
      REQUIRE_OK(bound->clipByNorm(
          0, normRule(perTensor ? Granularity::Segment : Granularity::All, norm, 0.9, 1e-6, Policy::Error), {},
          &ticket));
      checkCost({3, 0, 0});
      REQUIRE_OK(bound->synchronize());
      if (kEmulated) CHECK(emulator::counters().synchronisations == 1);
      emulator::resetCounters();
    }
  }
  REQUIRE_OK(bound->clipByNorm(0, normRule(Granularity::All, kL2, 0.9, 1e-6, Policy::Zero), {}, &ticket));
  checkCost({3, 0, 0});
  REQUIRE_OK(bound->clipByValue(0, valueRule(-1, 1, Policy::Propagate), &ticket));
  checkCost({1, 0, 0});
  REQUIRE_OK(bound->clipByValue(0, valueRule(-1, 1, Policy::Skip), &ticket));
  checkCost({3, 0, 0});
  REQUIRE_OK(
      bound->clipByNorm(0, normRule(Granularity::All, {NormKind::Power, 3}, 0.9, 1e-6, Policy::Skip), {}, &ticket));
  checkCost({5, 0, 0});
  bound.drop(count / 2);
  bound.rebind();
  REQUIRE_OK(bound->globalNorm(0, kL2, &ticket));
  checkCost({2, 1, 0});
  REQUIRE_OK(bound->globalNorm(0, kL2, &ticket));
  checkCost({2, 0, 0});
}

/// Checks that the table as it stands is refused for a piece.
void checkRefused(Bound& bound, std::int32_t piece, const char* part) {
  const CudaStatus status = bound->rebind(bound.table.data());
  CHECK(status.piece == piece);
  REQUIRE(status.why != nullptr);
  INFO(status.why);
  CHECK(std::strstr(status.why, part) != nullptr);
}

}  // namespace

TEST_CASE("launches, copies, allocations and synchronisations of a clip") {
  checkCosts(1);
  checkCosts(10000);
}

TEST_CASE("ten thousand mixed tensors") {
  Bound bound(many(10000));
  for (NormOf norm : {kL1, kL2, kInfNorm}) {
    CHECK(bound.globalNorm(norm).globalNorm == referenceNorm(norm.kind, bound.tensors).value());
  }
  const Slot slot = bound.clip(normRule(Granularity::All, kL2, 1, 1e-6, Policy::Error));
  for (std::size_t i = 0; i < bound.tensors.size(); ++i) {
    Bits want = bound.tensors[i].elements;
    for (auto& bits : want) bits = reference::scaled(bound.tensors[i].dtype, bits, slot.coefficient);
    REQUIRE(bound.now(i) == want);
  }
}

TEST_CASE("absent tensors keep their place, moved ones are found") {
  Bound bound(many(200));
  std::vector<Tensor> present = bound.tensors;
  for (std::size_t i = 0; i < bound.tensors.size(); i += 3) {
    bound.drop(i);
    present[i].elements.clear();
  }
  for (std::size_t i = 1; i < bound.tensors.size(); i += 3) bound.move(i);
  bound.rebind();
  CHECK(bound.globalNorm(kL2).globalNorm == referenceNorm(NormKind::L2, present).value());
  for (std::size_t i = 0; i < bound.tensors.size(); i += 3) bound.comeBack(i);
  bound.rebind();
  CHECK(bound.globalNorm(kL2).globalNorm == referenceNorm(NormKind::L2, bound.tensors).value());
  for (std::size_t i = 0; i < bound.tensors.size(); ++i) bound.drop(i);
  bound.rebind();
  const Slot slot = bound.clip(normRule(Granularity::All, kL2, 0, 1e-6, Policy::Error));
  CHECK(slot.globalNorm == 0);
  CHECK_FALSE(has(slot, gradclip::kClipped));
}

TEST_CASE("many rebinds ahead of the device") {
  Bound bound(many(20));
  std::int64_t tickets[20];
  for (std::size_t i = 0; i < 20; ++i) {
    bound.drop(i);
    bound.rebind();
    REQUIRE_OK(bound->globalNorm(0, kL1, &tickets[i]));
  }
  std::vector<Tensor> present = bound.tensors;
  for (std::size_t i = 0; i < 20; ++i) {
    present[i].elements.clear();
    CHECK(bound.result(tickets[i]).globalNorm == referenceNorm(NormKind::L1, present).value());
  }
}

TEST_CASE("another stream waits for the last one") {
  Bound bound(many(50));
  std::int64_t streams[2];
  for (auto& stream : streams) REQUIRE_OK(gradclip::cudaCreateStream(0, &stream));
  const double first = referenceNorm(NormKind::L2, bound.tensors).value();
  std::int64_t tickets[3];
  const Rule half = normRule(Granularity::All, kL2, first / 2, 0, Policy::Error);
  REQUIRE_OK(bound->clipByNorm(streams[0], half, {}, &tickets[0]));
  REQUIRE_OK(bound->clipByNorm(streams[1], half, {}, &tickets[1]));
  REQUIRE_OK(bound->globalNorm(0, kL2, &tickets[2]));
  CHECK(bound.result(tickets[2]).globalNorm == doctest::Approx(first / 2).epsilon(1e-3));
  CHECK(bound.result(tickets[1]).globalNorm == doctest::Approx(first / 2).epsilon(1e-3));
  CHECK(bound.result(tickets[0]).globalNorm == first);
  for (auto stream : streams) REQUIRE_OK(gradclip::cudaDestroyStream(0, stream));
}

TEST_CASE("await takes a result without a synchronisation, and knows when it is gone") {
  Bound bound(many(3));
  std::int64_t first = 0, last = 0;
  bool overwritten = false;
  REQUIRE_OK(bound->globalNorm(0, kL2, &first));
  emulator::resetCounters();
  REQUIRE_OK(bound->await(first, &overwritten));
  CHECK_FALSE(overwritten);
  if (kEmulated) CHECK(emulator::counters().synchronisations == 0);
  for (unsigned i = 0; i < gradclip::kSlots; ++i) REQUIRE_OK(bound->globalNorm(0, kL2, &last));
  REQUIRE_OK(bound->await(last, &overwritten));
  CHECK_FALSE(overwritten);
  REQUIRE_OK(bound->await(first, &overwritten));
  CHECK(overwritten);
}

TEST_CASE("pieces that can't be bound are refused, and nothing is rebound") {
  Bound bound({{DType::Float32, normal(DType::Float32, 1000, 1)}, {DType::Float64, normal(DType::Float64, 100, 1)}});
  const std::vector<Piece> good = bound.table;
  const double norm = bound.globalNorm(kL2).globalNorm;
  bound.table[1].count = 99;
  checkRefused(bound, 1, "length");
  bound.table = good;
  bound.table[1].dtype = DType::Float32;
  checkRefused(bound, 1, "type");
  bound.table = good;
  bound.table[0].address += 4;
  if (kEmulated) checkRefused(bound, 0, "beyond");  // a device may say that an allocation is larger
  bound.table = good;
  bound.table[0].address += 2;
  checkRefused(bound, 0, "multiple");
  bound.table = good;
  bound.table[1].address = bound.table[0].address + 8;
  checkRefused(bound, 1, "shares memory");
  bound.table = good;
  float host[1000];
  bound.table[0].address = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(host));
  checkRefused(bound, 0, "not at device memory");
  emulator::resetCounters();
  CHECK(bound.globalNorm(kL2).globalNorm == norm);
  CHECK(emulator::counters().copiesToDevice == 0);
}

#if defined(GRADCLIP_EMULATED)

TEST_CASE("a range over adjacent allocations is taken, one beyond them is not") {
  void* memory = nullptr;
  REQUIRE(emulator::allocateSegments(&memory, 4096, 3) == cudaSuccess);
  Piece piece{static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(memory)), 0, 3 * 1024, 0, 0, DType::Float32};
  CudaPlan* plan = nullptr;
  REQUIRE_OK(CudaPlan::create(0, &piece, 1, {1, 1, 0}, &plan));
  REQUIRE_OK(CudaPlan::destroy(plan));
  ++piece.count;
  CHECK(CudaPlan::create(0, &piece, 1, {1, 1, 0}, &plan).piece == 0);
}

TEST_CASE("a fault poisons the plan") {
  auto bound = std::make_unique<Bound>(many(10));
  std::int64_t address = 0, ticket = 0;
  REQUIRE_OK(gradclip::cudaAllocate(0, 4000, &address));
  const Piece piece{address, 0, 1000, 0, 0, DType::Float32};
  CudaPlan* plan = nullptr;
  REQUIRE_OK(CudaPlan::create(0, &piece, 1, {1, 1, 0}, &plan));
  REQUIRE_OK(gradclip::cudaRelease(0, address));
  REQUIRE_OK(plan->globalNorm(0, kL2, &ticket));
  bool overwritten = false;
  const CudaStatus status = plan->await(ticket, &overwritten);
  CHECK(status.code == cudaErrorIllegalAddress);
  CHECK(status.fatal());
  CHECK(plan->globalNorm(0, kL2, &ticket).fatal());
  emulator::reset();
  CHECK(plan->globalNorm(0, kL2, &ticket).fatal());
  CHECK(plan->synchronize().fatal());
  CHECK(plan->rebind(&piece).fatal());
  (void)CudaPlan::destroy(plan);
  CHECK(bound->globalNorm(kL2).globalNorm > 0);
}

#endif

TEST_CASE("the calling thread's device stays as it is") {
  if (gradclip::cudaDevices() < 2) return;
  Bound bound(many(5));
  REQUIRE(cudaSetDevice(1) == cudaSuccess);
  CHECK(bound.globalNorm(kL2).globalNorm > 0);
  CHECK(gradclip::cudaCurrentDevice() == 1);
  std::int64_t elsewhere = 0;
  REQUIRE_OK(gradclip::cudaAllocate(1, 4000, &elsewhere));
  const Piece piece{elsewhere, 0, 1000, 0, 0, DType::Float32};
  CudaPlan* plan = nullptr;
  const CudaStatus status = CudaPlan::create(0, &piece, 1, {1, 1, 0}, &plan);
  CHECK(status.piece == 0);
  CHECK(std::strstr(status.why, "another device") != nullptr);
  REQUIRE(cudaSetDevice(0) == cudaSuccess);
  REQUIRE_OK(gradclip::cudaRelease(1, elsewhere));
}
