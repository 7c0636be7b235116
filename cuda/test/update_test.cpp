// SPDX-License-Identifier: Apache-2.0
// Every level's update is common/update.hpp element by element, between pages that no access survives.
#include "common/update.hpp"

#include "support.hpp"

using gradclip::SegmentUpdate;
using gradclip::UpdateForm;
using gradclip::UpdateNumbers;
using gradclip::UpdateStep;

namespace {

struct Case {
  UpdateNumbers numbers;
  SegmentUpdate segment;
};

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<Case> cases() {
  std::vector<Case> all;
  const auto add = [&](UpdateForm form, std::int32_t flags, double decay, double dampening, SegmentUpdate segment) {
    all.push_back({{static_cast<std::int32_t>(form), flags, 0.1, decay, 0.9, dampening, 0.9, 0.999, 1e-8}, segment});
  };
  const SegmentUpdate plain{0.37, -kInfinity, kInfinity, 0.13, 0.7, 0};
  const SegmentUpdate first{1, -0.5, 0.25, 1, 0.0316, 1};
  const SegmentUpdate tiny{0x1p-110, -kInfinity, kInfinity, 0.13, 0.7, 0};
  for (const SegmentUpdate& segment : {plain, first, tiny}) {
    add(UpdateForm::Sgd, 0, 0, 0, segment);
    add(UpdateForm::Sgd, gradclip::kZeroGradients, 0.01, 0, segment);
    add(UpdateForm::SgdMomentum, 0, 0.01, 0.3, segment);
    add(UpdateForm::SgdMomentum, gradclip::kNesterov, 0, 0, segment);
    add(UpdateForm::Adam, 0, 0.01, 0, segment);
    add(UpdateForm::Adam, gradclip::kDecoupled | gradclip::kZeroGradients, 0.01, 0, segment);
  }
  return all;
}

/// Elements of a type: ordinary ones, zeros, an infinity and a NaN.
Bits elements(DType dtype, std::size_t count, unsigned seed) {
  Bits bits = normal(dtype, count, 1, seed);
  if (count > 5) bits[3] = reference::encode(dtype, 0);
  if (count > 40) bits[33] = reference::encode(dtype, std::numeric_limits<double>::infinity());
  if (count > 40) bits[37] = reference::encode(dtype, std::numeric_limits<double>::quiet_NaN());
  return bits;
}

template <class A>
void check(const Case& c, DType gradients, DType weights, std::size_t count, bool hasMaster = false) {
  const DType state = sizeof(A) == 8 ? DType::Float64 : DType::Float32;
  const auto bytes = [&](DType dtype) { return count * static_cast<std::size_t>(gradclip::elementBytes(dtype)); };
  const Bits g = elements(gradients, count, 1);
  const Bits p = elements(weights, count, 2);
  const Bits m = normal(state, count, 1, 3);
  Bits v = normal(state, count, 1, 4);
  for (auto& bits : v) bits = reference::encode(state, std::fabs(reference::decode(state, bits)));
  const Bits master = normal(state, count, 1, 5);
  Bits wantP = p, wantM = m, wantV = v, wantMaster = master;
  std::int64_t wantChanged = 0;
  const UpdateStep<A> u(c.numbers, c.segment);
  const auto form = static_cast<UpdateForm>(c.numbers.form);
  for (std::size_t i = 0; i < count; ++i) {
    A x = u.clipped(static_cast<A>(reference::decode(gradients, g[i])));
    wantChanged += u.clamp(x) ? 1 : 0;
    const bool fromMaster = hasMaster && !u.first;
    A w = static_cast<A>(fromMaster ? reference::decode(state, master[i]) : reference::decode(weights, p[i]));
    A a = static_cast<A>(reference::decode(state, m[i]));
    A b = static_cast<A>(reference::decode(state, v[i]));
    if (form == UpdateForm::Sgd) u.sgd(x, w);
    if (form == UpdateForm::SgdMomentum) u.sgdMomentum(x, w, a);
    if (form == UpdateForm::Adam) u.adam(x, w, a, b);
    wantP[i] = reference::encode(weights, w);
    if (hasMaster) wantMaster[i] = reference::encode(state, w);
    if (form != UpdateForm::Sgd) wantM[i] = reference::encode(state, a);
    if (form == UpdateForm::Adam) wantV[i] = reference::encode(state, b);
  }
  Guarded gMemory(bytes(gradients)), pMemory(bytes(weights)), mMemory(bytes(state)), vMemory(bytes(state)),
      masterMemory(bytes(state));
  for (int level = 0; level < gradclip::usableLevels(); ++level) {
    store(gradients, g, gMemory.atEnd());
    store(weights, p, pMemory.atEnd());
    store(state, m, mMemory.atEnd());
    store(state, v, vMemory.atEnd());
    store(state, master, masterMemory.atEnd());
    const auto update = gradclip::levelKernels(level).update->update[ordinal(gradients)][ordinal(weights)];
    REQUIRE((update != nullptr));
    const gradclip::WeightState own = {form == UpdateForm::Sgd ? nullptr : mMemory.atEnd(),
                                       form == UpdateForm::Adam ? vMemory.atEnd() : nullptr,
                                       hasMaster ? masterMemory.atEnd() : nullptr};
    const std::int64_t changed =
        update(c.numbers, c.segment, gMemory.atEnd(), pMemory.atEnd(), own, static_cast<std::int64_t>(count));
    CAPTURE(level);
    CAPTURE(ordinal(gradients));
    CAPTURE(ordinal(weights));
    CAPTURE(count);
    CAPTURE(c.numbers.form);
    CHECK(changed == wantChanged);
    CHECK((load(weights, count, pMemory.atEnd()) == wantP));
    CHECK((load(state, count, mMemory.atEnd()) == wantM));
    CHECK((load(state, count, vMemory.atEnd()) == wantV));
    CHECK((load(state, count, masterMemory.atEnd()) == wantMaster));
    const bool zeroes = (c.numbers.flags & gradclip::kZeroGradients) != 0;
    CHECK((load(gradients, count, gMemory.atEnd()) == (zeroes ? Bits(count, 0) : g)));
  }
}

}  // namespace

TEST_CASE("updates: every form, type, level and length around vectors and blocks") {
  for (const Case& c : cases()) {
    for (std::size_t count : {0, 1, 3, 4, 7, 8, 15, 16, 17, 33, 64, 1023, 1024, 1025, 2049}) {
      check<double>(c, DType::Float64, DType::Float64, count);
      for (DType gradients : {DType::Float32, DType::Float16, DType::BFloat16}) {
        for (DType weights : {DType::Float32, DType::Float16, DType::BFloat16}) {
          check<float>(c, gradients, weights, count);
          if (weights != DType::Float32) check<float>(c, gradients, weights, count, true);
        }
      }
    }
  }
}

TEST_CASE("an update takes float64 for both or for neither") {
  for (DType other : {DType::Float32, DType::Float16, DType::BFloat16}) {
    CHECK((gradclip::levelKernels(0).update->update[ordinal(DType::Float64)][ordinal(other)] == nullptr));
    CHECK((gradclip::levelKernels(0).update->update[ordinal(other)][ordinal(DType::Float64)] == nullptr));
  }
}
