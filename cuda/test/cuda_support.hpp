// SPDX-License-Identifier: Apache-2.0
// Tensors in a device's memory, bound to a plan.
#pragma once

#include <algorithm>
#include <array>

#include "cuda_reference.hpp"
#include "device.hpp"
#include "kernels/device_structs.hpp"
#include "gradclip/cuda.hpp"

using gradclip::CudaPlan;
using gradclip::CudaStatus;
using gradclip::NormOf;
using gradclip::Piece;
using gradclip::Policy;
using gradclip::Granularity;
using gradclip::Slot;

#define REQUIRE_OK(status)                                                       \
  do {                                                                           \
    const CudaStatus checkedStatus = (status);                                   \
    INFO("code " << checkedStatus.code << " from " << checkedStatus.call);       \
    REQUIRE(checkedStatus.ok());                                                 \
  } while (false)

constexpr NormOf kL1{NormKind::L1, 0}, kL2{NormKind::L2, 0}, kInfNorm{NormKind::Inf, 0};

struct Tensor {
  DType dtype;
  Bits elements;
  std::size_t offset = 0;  ///< elements between the start of its allocation and the first

  /// Where it is one of the units of a tensor, which follow each other: elements of a block, units, and its number.
  std::size_t inner = 0, units = 1, unit = 0;

  /// How far an element lies from the tensor's first one.
  std::size_t place(std::size_t element) const {
    return inner == 0 ? element : element / inner * inner * units + element % inner + unit * inner;
  }
  std::size_t elementSize() const { return static_cast<std::size_t>(gradclip::elementBytes(dtype)); }
  std::size_t bytes() const { return elements.size() * elementSize(); }
};

inline gradclip::NormLimit limitOf(double maxNorm, double epsilon) {
  gradclip::NormLimit limit;
  limit.max = maxNorm;
  limit.epsilon = epsilon;
  return limit;
}

/// A rule with its parts behind it, as Java lays it out.
struct Rule : gradclip::RuleNumbers {
  std::array<gradclip::Part, 8> room{};

  void setParts(const std::vector<gradclip::Part>& parts) {
    REQUIRE(parts.size() <= room.size());
    std::copy(parts.begin(), parts.end(), room.begin());
    partCount = static_cast<std::int32_t>(parts.size());
  }
};
static_assert(sizeof(Rule) == sizeof(gradclip::RuleNumbers) + 8 * sizeof(gradclip::Part), "nothing lies in between");

inline Rule normRule(gradclip::Granularity granularity, NormOf norm, double maxNorm, double epsilon,
                     gradclip::Policy policy) {
  Rule rule;
  rule.granularity = granularity;
  rule.norm = norm.kind;
  rule.p = norm.p;
  rule.policy = policy;
  rule.limit = limitOf(maxNorm, epsilon);
  return rule;
}

inline Rule valueRule(double min, double max, gradclip::Policy policy) {
  Rule rule;
  rule.policy = policy;
  rule.min = min;
  rule.max = max;
  return rule;
}

/// Tensors on a device, each in an allocation that ends with it, and a plan of them.
class Bound {
 public:
  /// With as many weights, the last of the tensors, as are said.
  explicit Bound(std::vector<Tensor> bound, std::size_t weights = 0)
      : tensors(std::move(bound)), weights_(weights) {
    for (const Tensor& tensor : tensors) place(tensor);
    REQUIRE_OK(CudaPlan::create(0, table.data(), count(), counts(), &plan_));
  }
  ~Bound() {
    if (plan_ != nullptr) CHECK(CudaPlan::destroy(plan_).ok());
    for (std::int64_t address : memory_) CHECK(gradclip::cudaRelease(0, address).ok());
  }
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;

  CudaPlan* operator->() { return plan_; }

  /// Waits, and reads the ticket's slot.
  Slot result(std::int64_t ticket) {
    REQUIRE_OK(plan_->synchronize());
    const Slot slot = static_cast<const Slot*>(plan_->ring())[ticket % gradclip::kSlots];
    REQUIRE(slot.ticket == ticket);
    return slot;
  }

  Slot globalNorm(NormOf norm, std::int64_t stream = 0) {
    std::int64_t ticket = 0;
    REQUIRE_OK(plan_->globalNorm(stream, norm, &ticket));
    return result(ticket);
  }
  Slot clip(const Rule& rule, CudaPlan::Steps steps = {}) {
    std::int64_t ticket = 0;
    REQUIRE_OK(plan_->clipByNorm(0, rule, steps, &ticket));
    return result(ticket);
  }
  Slot clipWithNorm(const Rule& rule, const gradclip::GivenNorm& norm) {
    std::int64_t ticket = 0;
    REQUIRE_OK(plan_->clipWithNorm(0, rule, norm, &ticket));
    return result(ticket);
  }
  Slot clipByValue(const Rule& rule) {
    std::int64_t ticket = 0;
    REQUIRE_OK(plan_->clipByValue(0, rule, &ticket));
    return result(ticket);
  }

  double norm(NormOf norm, std::size_t from, std::size_t to) {
    double value = 0;
    REQUIRE_OK(plan_->norm(norm, 1.0, static_cast<std::int32_t>(from), static_cast<std::int32_t>(to), &value));
    return value;
  }
  double coefficient(std::size_t i) {
    double value = 0;
    REQUIRE_OK(plan_->coefficient(static_cast<std::int32_t>(i), &value));
    return value;
  }

  /// What a tensor holds now.
  Bits now(std::size_t i) const {
    const Tensor& tensor = tensors[i];
    if (tensor.elements.empty()) return {};
    const Bits all = load(tensor.dtype, tensor.elements.size() * tensor.units,
                          readDevice(wholeAt(i), tensor.bytes() * tensor.units).data());
    Bits own;
    for (std::size_t e = 0; e < tensor.elements.size(); ++e) own.push_back(all[tensor.place(e)]);
    return own;
  }

  /// The host's view of the elements before the first.
  std::vector<std::uint8_t> before(std::size_t i) const {
    const std::size_t bytes = tensors[i].offset * tensors[i].elementSize();
    if (bytes == 0 || tensors[i].elements.empty()) return {};
    return readDevice(placed_[i].address - static_cast<std::int64_t>(bytes), bytes);
  }

  void restore() {
    for (std::size_t i = 0; i < tensors.size(); ++i) write(i);
  }

  /// Moves a tensor to a fresh allocation in the table, or makes it absent there; rebind does the rest.
  void move(std::size_t i) { fill(i, allocate(tensors[i])); }
  void drop(std::size_t i) { table[i].address = table[i].count = 0; }
  void comeBack(std::size_t i) { table[i] = placed_[i]; }
  void rebind() { REQUIRE_OK(plan_->rebind(table.data())); }

  std::vector<Tensor> tensors;
  std::vector<Piece> table;

 private:
  std::int32_t count() const { return static_cast<std::int32_t>(table.size()); }

  /// As many parts as there are tensors and gaps between them.
  gradclip::Counts counts() const {
    return {count(), count() - static_cast<std::int32_t>(weights_), 2 * count() + 1};
  }

  std::int64_t allocate(const Tensor& tensor) {
    const std::size_t before = tensor.offset * tensor.elementSize();
    std::int64_t address = 0;
    const std::size_t bytes = before + tensor.bytes() * tensor.units;
    REQUIRE_OK(gradclip::cudaAllocate(0, static_cast<std::int64_t>(bytes), &address));
    memory_.push_back(address);
    return address + static_cast<std::int64_t>(before);
  }

  void place(const Tensor& tensor) {
    const auto elements = static_cast<std::int64_t>(tensor.elements.size());
    const std::int64_t tile = gradclip::tileElements(tensor.dtype);
    const auto inner = static_cast<std::int64_t>(tensor.inner), units = static_cast<std::int64_t>(tensor.units);
    table.push_back(
        {0, 0, elements, tiles_, static_cast<std::int32_t>(table.size()), tensor.dtype, inner, inner * units});
    placed_.push_back(table.back());
    tiles_ += (elements + tile - 1) / tile;
    const std::size_t i = table.size() - 1;
    const std::int64_t between = inner * gradclip::elementBytes(tensor.dtype);
    fill(i, elements == 0 ? kNowhere : tensor.unit > 0 ? placed_[i - 1].address + between : allocate(tensor));
  }

  /// Where the tensor begins that this one is, or is a unit of.
  std::int64_t wholeAt(std::size_t i) const { return placed_[i - tensors[i].unit].address; }

  void fill(std::size_t i, std::int64_t address) {
    table[i].address = placed_[i].address = address;
    write(i);
  }

  void write(std::size_t i) {
    const Tensor& tensor = tensors[i];
    if (tensor.elements.empty()) return;
    std::vector<std::uint8_t> bytes(tensor.bytes());
    store(tensor.dtype, tensor.elements, bytes.data());
    if (tensor.units > 1) bytes = amongOthers(i, bytes);
    writeDevice(wholeAt(i), bytes);
  }

  /// The whole tensor with one unit's elements changed.
  std::vector<std::uint8_t> amongOthers(std::size_t i, const std::vector<std::uint8_t>& own) const {
    const Tensor& tensor = tensors[i];
    const auto size = static_cast<std::ptrdiff_t>(tensor.elementSize());
    std::vector<std::uint8_t> all = readDevice(wholeAt(i), tensor.bytes() * tensor.units);
    for (std::size_t e = 0; e < tensor.elements.size(); ++e) {
      const auto from = own.begin() + static_cast<std::ptrdiff_t>(e) * size;
      std::copy(from, from + size, all.begin() + static_cast<std::ptrdiff_t>(tensor.place(e)) * size);
    }
    return all;
  }

  static constexpr std::int64_t kNowhere = 64;  ///< a tensor without elements is present there

  CudaPlan* plan_ = nullptr;
  std::size_t weights_;
  std::vector<Piece> placed_;
  std::vector<std::int64_t> memory_;
  std::int64_t tiles_ = 0;
};

/// The norm over tensors as the definition has it.
inline gradclip::ScaledNorm referenceNorm(NormKind norm, const std::vector<Tensor>& tensors) {
  reference::PlaneEntries entries;
  for (const Tensor& tensor : tensors) {
    const gradclip::Sums sums = reference::segmentSums(norm, tensor.dtype, tensor.elements);
    entries.add(sums.low, sums.middle, sums.high);
  }
  return gradclip::normOf(norm, 0, entries.folded(norm), 0);
}

inline bool has(const Slot& slot, std::uint32_t flag) { return (slot.flags & flag) != 0; }
