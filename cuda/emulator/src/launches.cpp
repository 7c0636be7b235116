// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstring>
#include <numeric>
#include <vector>

#include "arithmetic.hpp"
#include "block.hpp"
#include "call.hpp"

namespace gradclip::emulator {

namespace {

/// An order of the blocks of a grid: ascending, or every one once in strides.
class BlockOrder {
 public:
  BlockOrder(unsigned grid, Random* random) : grid_(grid) {
    if (random == nullptr) return;
    first_ = random->next() % grid;
    stride_ = random->next() % grid;
    while (std::gcd(stride_, std::uint64_t{grid}) != 1) ++stride_;
  }

  unsigned operator()(unsigned turn) const { return static_cast<unsigned>((first_ + turn * stride_) % grid_); }

 private:
  std::uint64_t grid_, first_ = 0, stride_ = 1;
};

cudaError_t runGrid(const detail::Kernel& kernel, const void* params, Stream& stream) {
  const GpuArithmetic arithmetic;
  Block& block = Block::instance();
  block.startGrid(kernel, params, stream.context);
  const BlockOrder order(kernel.grid, block.random());
  for (unsigned turn = 0; turn < kernel.grid && block.run(order(turn)); ++turn) {
  }
  block.endGrid();
  return block.faultCode();
}

}  // namespace

namespace detail {

Kernel (*substitute)(const Kernel& kernel, std::size_t bytes) = nullptr;

cudaError_t enqueue(const Kernel& given, cudaStream_t handle, const void* params, std::size_t bytes) noexcept {
  return deviceCall([&] {
    const Kernel kernel = substitute == nullptr ? given : substitute(given, bytes);
    if (kernel.grid == 0 || kernel.grid > 0x7fffffff || kernel.block == 0 || kernel.block > Block::kMaxThreads) {
      return cudaErrorInvalidConfiguration;
    }
    if (kernel.sharedBytes > SharedMemory::kLimit) return cudaErrorInvalidValue;
    std::lock_guard<std::mutex> state(world().state);
    const auto stream = findStream(handle);
    if (stream == nullptr || stream->device != &currentDevice()) return cudaErrorInvalidResourceHandle;
    // As a GPU does: the parameters are those of now. Words, so that their alignment serves every type.
    std::vector<std::max_align_t> copy((bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
    std::memcpy(copy.data(), params, bytes);
    return emulator::enqueue(*stream, Counted::Launch, [kernel, copy = std::move(copy)](Stream& own) {
      return runGrid(kernel, copy.data(), own);
    });
  });
}

}  // namespace detail

}  // namespace gradclip::emulator
