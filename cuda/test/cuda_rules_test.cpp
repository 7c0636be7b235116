// SPDX-License-Identifier: Apache-2.0
// Rules of several parts, and gradients beside their weights, against the formulas on the definition's norms.
#include "cuda_support.hpp"

using gradclip::Form;
using gradclip::kClipped;
using gradclip::kNonFinite;
using gradclip::NormLimit;
using gradclip::Part;

namespace {

constexpr double kNone = reference::kInf;

NormLimit limit(Form form, double max, double inverseScale = 1.0) {
  NormLimit made = limitOf(max, form == Form::Adaptive ? 1e-3 : 0.0);
  made.form = form;
  made.length = form == Form::Normalize ? max : 0.0;
  made.inverseScale = inverseScale;
  return made;
}

Part part(std::int32_t from, std::int32_t to, bool perSegment, const NormLimit& numbers) {
  return {from, to, perSegment ? 1 : 0, 1, numbers, 0.0, 0.0};
}

Rule byParts(NormOf norm, const std::vector<Part>& parts, Policy policy = Policy::Propagate) {
  Rule rule = normRule(Granularity::Parts, norm, kNone, 0, policy);
  rule.limit.inverseScale = parts.front().limit.inverseScale;
  rule.setParts(parts);
  return rule;
}

std::vector<Tensor> tensors(const std::vector<std::size_t>& counts, unsigned seed = 0) {
  std::vector<Tensor> made;
  for (std::size_t count : counts) {
    const DType dtype = kAllTypes[(seed + count) % 4];
    made.push_back({dtype, spreadLanes(dtype, count, 3, 0, ++seed), seed % 4});
  }
  return made;
}

std::vector<Tensor> slice(const Bound& bound, std::size_t from, std::size_t to) {
  return {bound.tensors.begin() + static_cast<std::ptrdiff_t>(from),
          bound.tensors.begin() + static_cast<std::ptrdiff_t>(to)};
}

double elementsOf(const std::vector<Tensor>& some) {
  double count = 0;
  for (const Tensor& tensor : some) count += static_cast<double>(tensor.elements.size());
  return count;
}

/// What multiplies the elements of some tensors that share a norm.
double expectedCoefficient(const Bound& bound, NormKind norm, const NormLimit& numbers, std::size_t from,
                           std::size_t to, double weight = 0.0) {
  const std::vector<Tensor> run = slice(bound, from, to);
  const gradclip::ScaledNorm total = referenceNorm(norm, run).times(numbers.inverseScale);
  return gradclip::coefficientOf(numbers, total, elementsOf(run), weight) * numbers.inverseScale;
}

void checkTensor(Bound& bound, std::size_t i, double coefficient) {
  INFO("tensor " << i << " coefficient " << coefficient);
  CHECK(reference::sameBits(bound.coefficient(i), coefficient));
  Bits want = bound.tensors[i].elements;
  for (auto& bits : want) bits = reference::scaled(bound.tensors[i].dtype, bits, coefficient);
  CHECK(bound.now(i) == want);
}

void checkParts(Bound& bound, NormKind norm, const std::vector<Part>& parts) {
  for (const Part& each : parts) {
    const auto from = static_cast<std::size_t>(each.firstSegment), to = static_cast<std::size_t>(each.lastSegment);
    for (std::size_t i = from; i < to; ++i) {
      const bool alone = each.perSegment != 0;
      checkTensor(bound, i, expectedCoefficient(bound, norm, each.limit, alone ? i : from, alone ? i + 1 : to));
    }
  }
}

}  // namespace

TEST_CASE("parts of every form, each by a norm of its own") {
  Bound bound(tensors({5000, 3, 64, 0, 40960, 1, 20, 8192, 129, 7, 7, 7, 2048, 2049}));
  for (NormOf norm : {kL1, kL2, kInfNorm}) {
    for (double inverseScale : {1.0, 0.25}) {
      const std::vector<Part> parts = {part(0, 2, false, limit(Form::Clip, 2.0, inverseScale)),
                                       part(2, 3, true, limit(Form::Clip, kNone, inverseScale)),
                                       part(3, 7, true, limit(Form::Rms, 0.25, inverseScale)),
                                       part(7, 10, false, limit(Form::Normalize, 3.0, inverseScale)),
                                       part(10, 14, false, limit(Form::Average, 0.001, inverseScale))};
      bound.restore();
      const Slot slot = bound.clip(byParts(norm, parts));
      CHECK(has(slot, kClipped));
      CHECK(slot.globalNorm == referenceNorm(norm.kind, bound.tensors).times(inverseScale).value());
      CHECK(std::isnan(slot.coefficient));
      checkParts(bound, norm.kind, parts);
    }
  }
}

TEST_CASE("a part of more segments than one run") {
  std::vector<std::size_t> counts(2600);
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = i % 9;
  counts[1500] = 30000;
  Bound bound(tensors(counts));
  const std::vector<Part> parts = {part(0, 1030, false, limit(Form::Clip, 1.0)),
                                   part(1030, 1040, true, limit(Form::Clip, 0.5)),
                                   part(1040, 2600, false, limit(Form::Normalize, 2.0))};
  for (NormOf norm : {kL2, kInfNorm}) {
    bound.restore();
    bound.clip(byParts(norm, parts));
    for (std::size_t i : {0u, 7u, 1029u, 1031u, 1040u, 1500u, 2599u}) {
      const Part& own = parts[i < 1030 ? 0 : i < 1040 ? 1 : 2];
      const bool alone = own.perSegment != 0;
      const auto from = static_cast<std::size_t>(own.firstSegment), to = static_cast<std::size_t>(own.lastSegment);
      checkTensor(bound, i, expectedCoefficient(bound, norm.kind, own.limit, alone ? i : from, alone ? i + 1 : to));
    }
  }
}

TEST_CASE("samples, of each of which a segment of every tensor") {
  for (std::size_t samples : {2u, 7u, 40u}) {
    for (std::size_t each : {2u, 33u, 1100u}) {
      if (samples * each > 10000) continue;
      std::vector<std::size_t> counts(3 + samples * each + 2, 5);
      for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = i % 11 == 3 ? 0 : 1 + i % 9;
      counts[4] = 9000;
      Bound bound(tensors(counts));
      const auto last = static_cast<std::int32_t>(3 + samples * each);
      Part ofSamples = part(3, last, false, limit(Form::Clip, 4.0));
      ofSamples.samples = static_cast<std::int32_t>(samples);
      const std::vector<Part> parts = {part(0, 3, false, limit(Form::Clip, 1.0)), ofSamples,
                                       part(last, last + 2, true, limit(Form::Normalize, 2.0))};
      for (NormOf norm : {kL1, kL2, kInfNorm}) {
        bound.restore();
        CHECK(has(bound.clip(byParts(norm, parts)), kClipped));
        for (std::size_t sample = 0; sample < samples; ++sample) {
          std::vector<Tensor> own;
          for (std::size_t i = 0; i < each; ++i) own.push_back(bound.tensors[3 + i * samples + sample]);
          const double coefficient =
              gradclip::coefficientOf(ofSamples.limit, referenceNorm(norm.kind, own), elementsOf(own), 0.0);
          for (std::size_t i = 0; i < each; ++i) checkTensor(bound, 3 + i * samples + sample, coefficient);
        }
        for (std::size_t i = last; i < counts.size(); ++i) {
          checkTensor(bound, i, expectedCoefficient(bound, norm.kind, parts[2].limit, i, i + 1));
        }
      }
    }
  }
}

TEST_CASE("parts under each policy") {
  for (double value : {reference::kInf, reference::kNaN}) {
    std::vector<Tensor> odd = tensors({100, 200, 5000, 30});
    odd[2].elements[4321] = reference::encode(odd[2].dtype, value);
    Bound bound(odd);
    const std::vector<Part> parts = {part(0, 2, false, limit(Form::Clip, 1.0)),
                                     part(2, 4, true, limit(Form::Normalize, 1.0))};
    for (Policy policy : {Policy::Skip, Policy::Error}) {
      const Slot slot = bound.clip(byParts(kL2, parts, policy));
      CHECK(has(slot, kNonFinite));
      CHECK(slot.badSegment == 2);
      for (std::size_t i = 0; i < 4; ++i) checkTensor(bound, i, 1.0);
    }
    const Slot slot = bound.clip(byParts(kL2, parts));
    CHECK(has(slot, kNonFinite));
    checkParts(bound, NormKind::L2, parts);
    bound.restore();
    CHECK(has(bound.clip(byParts(kL2, parts, Policy::Zero)), kNonFinite));
    for (auto& bits : bound.tensors[2].elements) bits = reference::finite(bound.tensors[2].dtype, bits);
    checkParts(bound, NormKind::L2, parts);
  }
}

TEST_CASE("limits of parts") {
  Bound bound(tensors({5000, 3, 64, 0, 4096, 1, 20, 129, 7, 7}));
  std::vector<Part> parts = {part(0, 3, true, {}), part(3, 8, true, {}), part(8, 10, true, {})};
  const std::pair<double, double> limits[] = {{-0.5, 0.25}, {-kNone, kNone}, {0.0, 0.0}};
  for (std::size_t i = 0; i < 3; ++i) {
    parts[i].min = limits[i].first;
    parts[i].max = limits[i].second;
  }
  Rule rule = valueRule(0, 0, Policy::Propagate);
  rule.setParts(parts);
  const Slot slot = bound.clipByValue(rule);
  std::int64_t changed = 0;
  for (std::size_t i = 0; i < bound.tensors.size(); ++i) {
    const auto [min, max] = limits[i < 3 ? 0 : i < 8 ? 1 : 2];
    Bits want = bound.tensors[i].elements;
    for (auto& bits : want) {
      const std::uint64_t before = bits;
      bits = reference::clamped(bound.tensors[i].dtype, bits, min, max);
      changed += bits != before ? 1 : 0;
    }
    CHECK(bound.now(i) == want);
  }
  CHECK(slot.changed == changed);
}

TEST_CASE("each gradient beside its weight, whichever is longer in tiles") {
  const std::vector<std::size_t> counts = {0, 1, 7, 2048, 2049, 9000, 64, 64, 64, 64, 20000, 3, 4097, 8193};
  std::vector<Tensor> both = tensors(counts);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const DType dtype = kAllTypes[i % 4];
    both.push_back({dtype, spreadLanes(dtype, counts[i], 3, static_cast<int>(i % 3), 77 + static_cast<unsigned>(i))});
  }
  Bound bound(both, counts.size());
  const std::size_t absent = 5, absentGradient = 9;
  bound.drop(counts.size() + absent);
  bound.drop(absentGradient);
  bound.rebind();
  for (NormOf norm : {kL1, kL2, kInfNorm}) {
    for (double lambda : {0.5, 2.0, 0.0, kNone}) {
      bound.restore();
      Rule clip = normRule(Granularity::Segment, norm, lambda, 0, Policy::Propagate);
      clip.limit = limit(Form::Adaptive, lambda);
      bound.clip(clip);
      for (std::size_t i = 0; i < counts.size(); ++i) {
        if (i == absentGradient) continue;
        const double weight = referenceNorm(norm.kind, slice(bound, counts.size() + i, counts.size() + i + 1)).value();
        const bool hasOne = i != absent && counts[i] > 0;
        checkTensor(bound, i, hasOne ? expectedCoefficient(bound, norm.kind, clip.limit, i, i + 1, weight) : 1.0);
      }
      for (std::size_t i = counts.size(); i < both.size(); ++i) CHECK(bound.now(i) == bound.tensors[i].elements);
    }
  }
}

TEST_CASE("a part of pairs beside a part without") {
  Bound bound([] {
    std::vector<Tensor> both = tensors({300, 40, 5000, 60});
    for (const Tensor& weight : tensors({300, 40, 5000, 60}, 50)) both.push_back(weight);
    return both;
  }(), 4);
  const std::vector<Part> parts = {part(0, 2, false, limit(Form::Clip, 0.5)),
                                   part(2, 4, true, limit(Form::Adaptive, 0.125))};
  bound.clip(byParts(kL2, parts));
  for (std::size_t i = 0; i < 2; ++i)
    checkTensor(bound, i, expectedCoefficient(bound, NormKind::L2, parts[0].limit, 0, 2));
  for (std::size_t i = 2; i < 4; ++i) {
    const double weight = referenceNorm(NormKind::L2, slice(bound, 4 + i, 5 + i)).value();
    checkTensor(bound, i, expectedCoefficient(bound, NormKind::L2, parts[1].limit, i, i + 1, weight));
  }
  for (std::size_t i = 4; i < 8; ++i) CHECK(bound.now(i) == bound.tensors[i].elements);
}

TEST_CASE("more parts than there is room for") {
  Bound bound(tensors({3, 4}));
  const std::vector<Part> parts(6, part(0, 2, false, limit(Form::Clip, 1.0)));
  std::int64_t ticket = 0;
  CHECK_FALSE(bound->clipByNorm(0, byParts(kL2, parts), {}, &ticket).ok());
  const std::vector<Part> one = {part(0, 2, false, limit(Form::Clip, 1.0))};
  bound.clip(byParts(kL2, one));
  checkParts(bound, NormKind::L2, one);
}

namespace {

/// The units of a tensor of some shape, one after the other, and, where not `strided`, each by itself.
void addUnits(std::vector<Tensor>& to, DType dtype, std::size_t outer, std::size_t units, std::size_t inner,
              bool strided) {
  const Bits all = spreadLanes(dtype, outer * units * inner, 3, 0, static_cast<unsigned>(outer + units));
  for (std::size_t unit = 0; unit < units; ++unit) {
    Tensor tensor{dtype, {}, strided ? 1u : unit % 3, inner, units, unit};
    for (std::size_t e = 0; e < outer * inner; ++e) tensor.elements.push_back(all[tensor.place(e)]);
    if (!strided) tensor.inner = tensor.unit = 0, tensor.units = 1;
    to.push_back(tensor);
  }
}

std::vector<Tensor> unitsOfAllTypes(bool strided) {
  std::vector<Tensor> made;
  for (DType dtype : kAllTypes) {
    const auto tile = static_cast<std::size_t>(gradclip::tileElements(dtype));
    addUnits(made, dtype, 2, 2, 1, strided);
    addUnits(made, dtype, 9, 33, 1, strided);
    addUnits(made, dtype, 3, 4, 5, strided);
    addUnits(made, dtype, 2, 2, 130, strided);
    for (std::size_t outer : {tile - 1, tile, tile + 1, 2 * tile + 3}) addUnits(made, dtype, outer, 2, 1, strided);
    addUnits(made, dtype, 3, 2, tile / 2 + 1, strided);
  }
  return made;
}

}  // namespace

TEST_CASE("units whose elements lie between each other have the bits of such that lie side by side") {
  Bound strided(unitsOfAllTypes(true)), apart(unitsOfAllTypes(false));
  REQUIRE(strided.tensors.size() == apart.tensors.size());
  const auto checkAlike = [&](const auto& clip) {
    strided.restore();
    apart.restore();
    const Slot is = clip(strided), want = clip(apart);
    CHECK(is.flags == want.flags);
    CHECK(is.changed == want.changed);
    for (std::size_t i = 0; i < apart.tensors.size(); ++i) {
      INFO("unit " << i);
      CHECK(strided.now(i) == apart.now(i));
    }
  };
  for (NormOf norm : {kL1, kL2, kInfNorm, NormOf{NormKind::Power, 3}}) {
    for (Policy policy : {Policy::Propagate, Policy::Zero}) {
      checkAlike([&](Bound& bound) { return bound.clip(normRule(Granularity::Segment, norm, 2.0, 0, policy)); });
      checkAlike([&](Bound& bound) { return bound.clip(normRule(Granularity::All, norm, 2.0, 0, policy)); });
    }
  }
  for (double inverseScale : {1.0, 0.3}) {
    Rule rule = valueRule(-0.5, 0.25, Policy::Zero);
    rule.limit.inverseScale = inverseScale;
    checkAlike([&](Bound& bound) { return bound.clipByValue(rule); });
    rule.policy = Policy::Propagate;
    checkAlike([&](Bound& bound) { return bound.clipByValue(rule); });
  }
}

TEST_CASE("units that do not lie as those of one tensor are refused") {
  std::vector<Tensor> units;
  addUnits(units, DType::Float32, 3, 2, 5, true);
  Bound bound(units);
  const std::vector<Piece> right = bound.table;
  const auto refuses = [&](std::size_t i, auto change, const char* why) {
    bound.table = right;
    change(bound.table[i]);
    const CudaStatus status = bound->rebind(bound.table.data());
    CHECK_FALSE(status.ok());
    CHECK(std::string(status.why) == why);
  };
  refuses(
      1, [](Piece& piece) { piece.address += 4; }, "has units that do not lie as those of one tensor");
  refuses(
      1, [](Piece& piece) { piece.address = 0; }, "has units that do not lie as those of one tensor");
  refuses(
      0, [](Piece& piece) { piece.inner = 0; }, "has other units than when it was bound");
  refuses(
      0, [](Piece& piece) { piece.stride = 5; }, "has other units than when it was bound");
  bound.table = right;
  bound.rebind();
  CHECK(has(bound.clip(normRule(Granularity::Segment, kL2, 1.0, 0, Policy::Propagate)), kClipped));
}
