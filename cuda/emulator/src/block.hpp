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

/// The block of threads that runs, one fiber a thread: picks who goes on, and knows when nobody can.
/// There is one, used again for every block of every launch; whoever runs it holds the lock for execution. What is
/// called on a fiber is untracked and keeps away from the standard library.
class Block {
 public:
  static constexpr unsigned kMaxThreads = 1024;

  GRADCLIP_UNTRACKED static Block& instance();

  /// What a launch has in common. `context` is the stream's: what it did before comes before the grid.
  void startGrid(const detail::Kernel& kernel, const void* params, void* context);
  /// Runs one block to its end; false: a fault ended it.
  bool run(unsigned number);
  /// All that the threads of the grid did comes before what the stream does next.
  void endGrid();

  cudaError_t faultCode() const { return fault_; }
  /// A word for the fault that ended the launch goes to stderr.
  [[noreturn]] void fault(cudaError_t code, const char* why);

  void barrier();
  std::uint64_t meet(Together what, unsigned mask, std::uint64_t value, unsigned source);
  void fence(bool system);

  GRADCLIP_UNTRACKED bool running() const { return running_; }
  GRADCLIP_UNTRACKED bool fencedForSystem() const { return (systemFences_[current_ / 32] >> lane() & 1) != 0; }
  GRADCLIP_UNTRACKED unsigned lane() const { return current_ % 32; }
  GRADCLIP_UNTRACKED SharedMemory& sharedMemory() { return shared_; }

  /// Order of warps and lanes from the next grid on; 0: ascending.
  void seed(std::uint64_t order);
  Random* random() { return ordered_ ? nullptr : &random_; }

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
  void goOn(unsigned self);
  unsigned pick();
  void openBarrier();
  void setGrid();
  void setBlock(unsigned number);
  void setIndex();
  [[noreturn]] void stuck();

  detail::Kernel kernel_{};
  const void* params_ = nullptr;
  void* context_ = nullptr;
  GridTokens* grid_ = new GridTokens();  // plain pointers: kernel threads read them
  Tokens* tokens_ = new Tokens();

  Fiber host_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  Fiber* fiber_[kMaxThreads] = {};  ///< of each thread of this block
  SharedMemory shared_;

  Warp warps_[kMaxThreads / 32];
  unsigned warpCount_ = 0;
  std::uint32_t ready_ = 0;  ///< warps with a runnable lane
  unsigned current_ = 0;
  unsigned atBarrier_ = 0;
  unsigned ended_ = 0;
  unsigned barriers_ = 0;

  bool running_ = false;
  std::uint32_t systemFences_[kMaxThreads / 32] = {};  ///< lanes that have fenced for the host
  cudaError_t fault_ = cudaSuccess;
  bool ordered_ = true;
  Random random_{0};
};

}  // namespace gradclip::emulator
