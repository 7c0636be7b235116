// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstring>
#include <map>
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
  Block::startGrid(kernel, params, stream.context);
  const BlockOrder order(kernel.grid, Block::random());
  const unsigned count = kernel.how == How::Together ? kernel.grid : 1;
  for (unsigned turn = 0; turn < kernel.grid && Block::runTogether(order, turn, count); turn += count) {
  }
  Block::endGrid();
  return Block::faultCode();
}

/// Kernels that have asked for more shared memory than every launch gets; the state lock is held.
std::map<void (*)(), std::size_t>& sharedLimits() {
  static auto* limits = new std::map<void (*)(), std::size_t>;
  return *limits;
}

std::size_t sharedLimitOf(void (*kernel)()) {
  std::lock_guard<std::mutex> state(world().state);
  const auto found = sharedLimits().find(kernel);
  return found == sharedLimits().end() ? SharedMemory::kLimit : found->second;
}

/// Whether the device holds all blocks of a launch at once.
bool fitTogether(const detail::Kernel& kernel) {
  int processors = 0, each = 0;
  cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, currentDevice().ordinal);
  return detail::occupancy(&each, kernel.kernel, static_cast<int>(kernel.block), kernel.sharedBytes) == cudaSuccess &&
         kernel.grid <= static_cast<unsigned>(processors * each);
}

}  // namespace

namespace detail {

Kernel (*substitute)(const Kernel& kernel, std::size_t bytes) = nullptr;
int ptxVersion = 90;

cudaError_t setAttribute(void (*kernel)(), cudaFuncAttribute attribute, int value) {
  return deviceCall([&] {
    const auto bytes = static_cast<std::size_t>(value);
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || bytes > SharedMemory::kMost)
      return cudaErrorInvalidValue;
    std::lock_guard<std::mutex> state(world().state);
    sharedLimits()[kernel] = bytes;
    return cudaSuccess;
  });
}

cudaError_t occupancy(int* blocks, void (*kernel)(), int threads, std::size_t sharedBytes) {
  return deviceCall([&] {
    if (threads < 1) return cudaErrorInvalidValue;
    *blocks = sharedBytes > sharedLimitOf(kernel) ? 0 : blocksAMultiprocessor(threads, sharedBytes);
    return cudaSuccess;
  });
}

cudaError_t enqueue(const Kernel& given, cudaStream_t handle, const void* params, std::size_t bytes) noexcept {
  return deviceCall([&] {
    const Kernel kernel = substitute == nullptr ? given : substitute(given, bytes);
    if (kernel.grid == 0 || kernel.grid > 0x7fffffff || kernel.block == 0 || kernel.block > Block::kMaxThreads) {
      return cudaErrorInvalidConfiguration;
    }
    if (kernel.sharedBytes > sharedLimitOf(kernel.kernel)) return cudaErrorInvalidValue;
    if (kernel.how == How::Together && !fitTogether(kernel)) return cudaErrorCooperativeLaunchTooLarge;
    std::lock_guard<std::mutex> state(world().state);
    const auto stream = findStream(handle);
    if (stream == nullptr || stream->device != &currentDevice()) return cudaErrorInvalidResourceHandle;
    // As a GPU does: the parameters are those of now. Words, so that their alignment serves every type.
    std::vector<std::max_align_t> copy((bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
    std::memcpy(copy.data(), params, bytes);
    const auto counted = kernel.how == How::Behind ? Counted::EarlyLaunch : Counted::Launch;
    return emulator::enqueue(*stream, counted, [kernel, copy = std::move(copy)](Stream& own) {
      return runGrid(kernel, copy.data(), own);
    });
  });
}

}  // namespace detail

}  // namespace gradclip::emulator
