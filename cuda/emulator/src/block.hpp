// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "fiber.hpp"
#include "gradclip_emulator.hpp"
#include "random.hpp"
#include "shared_memory.hpp"
#include "warp.hpp"

namespace gradclip::emulator {

/// A block of threads, one fiber a thread: picks who goes on, and knows when nobody can.
/// There is one, used again for every block of every launch, and further ones for launches whose blocks run together;
/// whoever runs them holds the lock for execution. What is called on a fiber is untracked and keeps away from the
/// standard library.
class Block {
 public:
  static constexpr unsigned kMaxThreads = 1024;

  /// The block that runs, or ran last.
  GRADCLIP_UNTRACKED static Block& instance();

  /// What a launch has in common. `context` is the stream's: what it did before comes before the grid.
  static void startGrid(const detail::Kernel& kernel, const void* params, void* context);
  /// Runs blocks first to last of an order, each to its end or until it waits for another; false: a fault ended them.
  template <class Order>
  static bool runTogether(const Order& order, unsigned first, unsigned count);
  /// All that the threads of the grid did comes before what the stream does next.
  static void endGrid();

  static cudaError_t faultCode() { return fault_; }
  /// A word for the fault that ended the launch goes to stderr.
  [[noreturn]] void fault(cudaError_t code, const char* why);

  void barrier();
  /// Lets all others run that can, for the thread has read what only they change.
  void giveWay();
  /// The kernel before has ended, for this thread.
  GRADCLIP_UNTRACKED void awaitKernelBefore() { early_[current_ / 32] &= ~(1U << lane()); }
  /// Whether the thread can't know that the kernel before has ended.
  GRADCLIP_UNTRACKED bool early() const { return (early_[current_ / 32] >> lane() & 1) != 0; }
  /// Something happened that a thread of another block may wait for.
  GRADCLIP_UNTRACKED void note() { progressed_ = true; }
  std::uint64_t meet(Together what, unsigned mask, std::uint64_t value, unsigned source);
  void fence(bool system);

  GRADCLIP_UNTRACKED bool running() const { return runs_; }
  GRADCLIP_UNTRACKED bool fencedForSystem() const { return (systemFences_[current_ / 32] >> lane() & 1) != 0; }
  GRADCLIP_UNTRACKED unsigned lane() const { return current_ % 32; }
  GRADCLIP_UNTRACKED SharedMemory& sharedMemory() { return shared_; }

  /// Order of warps and lanes from the next grid on; 0: ascending.
  static void seed(std::uint64_t order);
  static Random* random() { return ordered_ ? nullptr : &random_; }

 private:
  /// Places that stand for "what went before", as ThreadSanitizer knows them: new for each block, or two blocks
  /// would seem ordered.
  struct Tokens {
    char start, barrier[2], warp[32][Warp::kTokens];
  };
  struct GridTokens {
    char start, end, fence;
  };

  Block() = default;
  GRADCLIP_UNTRACKED static void threadMain();
  void runThread();
  void endThread();
  void start(unsigned number);
  void takeTurn();
  void goOn(unsigned self);
  unsigned pick();
  void openBarrier();
  static void setGrid();
  void setBlock();
  void setIndex();
  [[noreturn]] void stuck();

  /// Of those that run together; the first is that of every other launch.
  static std::vector<Block*>& together();

  // Of the launch; plain pointers, for kernel threads read them.
  inline static Block* running_ = nullptr;
  inline static detail::Kernel kernel_{};
  inline static const void* params_ = nullptr;
  inline static void* context_ = nullptr;
  inline static GridTokens* grid_ = new GridTokens();
  inline static Fiber host_;
  inline static cudaError_t fault_ = cudaSuccess;
  inline static bool hopeless_ = false;  ///< whoever polls, does so for ever
  inline static bool ordered_ = true;
  inline static Random random_{0};

  Tokens* tokens_ = new Tokens();
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<std::unique_ptr<Fiber>> otherFibers_;  ///< of another stream, for ThreadSanitizer
  Fiber* fiber_[kMaxThreads] = {};                   ///< of each thread of this block
  SharedMemory shared_;

  Warp warps_[kMaxThreads / 32];
  unsigned warpCount_ = 0;
  std::uint32_t ready_ = 0;  ///< warps with a runnable lane
  unsigned current_ = 0;
  unsigned atBarrier_ = 0;
  unsigned ended_ = 0;
  unsigned barriers_ = 0;
  unsigned number_ = 0;
  unsigned polling_ = 0;     ///< threads that gave way
  bool progressed_ = false;  ///< in this turn

  bool runs_ = false;
  std::uint32_t early_[kMaxThreads / 32] = {};         ///< lanes that have not waited for the kernel before
  std::uint32_t systemFences_[kMaxThreads / 32] = {};  ///< lanes that have fenced for the host
};

template <class Order>
bool Block::runTogether(const Order& order, unsigned first, unsigned count) {
  auto& blocks = together();
  while (blocks.size() < count) blocks.push_back(new Block);
  for (unsigned i = 0; i < count; ++i) blocks[i]->start(order(first + i));
  hopeless_ = false;
  for (unsigned left = count; left > 0;) {
    bool progressed = false;
    for (unsigned i = 0; i < count; ++i) {
      Block& block = *blocks[i];
      if (block.ended_ == kernel_.block) continue;
      block.takeTurn();
      if (fault_ != cudaSuccess) return false;
      if (block.ended_ == kernel_.block) --left;
      progressed = progressed || block.progressed_;
    }
    hopeless_ = !progressed;
  }
  return true;
}

/// Blocks of a kernel that a multiprocessor holds at once.
int blocksAMultiprocessor(int threads, std::size_t sharedBytes);

}  // namespace gradclip::emulator
