// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

// After a header of the library, which keeps this one from defining min and max.
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

/// Memory between two pages that no access survives.
class Guarded {
 public:
#ifdef _WIN32
  static constexpr DWORD kReadOnly = PAGE_READONLY, kReadWrite = PAGE_READWRITE;
#else
  static constexpr int kReadOnly = PROT_READ, kReadWrite = PROT_READ | PROT_WRITE;
#endif

  explicit Guarded(std::size_t bytes) : page_(pageSize()), bytes_(bytes) {
    inner_ = (bytes + page_ - 1) / page_ * page_ + page_;
#ifdef _WIN32
    void* all = VirtualAlloc(nullptr, inner_ + 2 * page_, MEM_RESERVE | MEM_COMMIT, PAGE_NOACCESS);
    if (all == nullptr) throw std::runtime_error("VirtualAlloc");
#else
    void* all = mmap(nullptr, inner_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) throw std::runtime_error("mmap");
#endif
    start_ = static_cast<std::uint8_t*>(all) + page_;
    protect(kReadWrite);
  }

  ~Guarded() {
#ifdef _WIN32
    VirtualFree(start_ - page_, 0, MEM_RELEASE);
#else
    munmap(start_ - page_, inner_ + 2 * page_);
#endif
  }

  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  /// The bytes that end `distance` before the upper page.
  std::uint8_t* atEnd(std::size_t distance = 0) { return start_ + inner_ - bytes_ - distance; }

  /// The bytes that start `distance` after the lower page.
  std::uint8_t* atStart(std::size_t distance = 0) { return start_ + distance; }

  /// kReadOnly or kReadWrite.
  template <typename Protection>
  void protect(Protection protection) {
#ifdef _WIN32
    DWORD before;
    if (!VirtualProtect(start_, inner_, protection, &before)) throw std::runtime_error("VirtualProtect");
#else
    if (mprotect(start_, inner_, protection) != 0) throw std::runtime_error("mprotect");
#endif
  }

 private:
  static std::size_t pageSize() {
#ifdef _WIN32
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
#else
    return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
#endif
  }

  std::size_t page_, bytes_, inner_ = 0;
  std::uint8_t* start_ = nullptr;
};
