// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdlib>
#include <type_traits>

namespace gradclip {

/// A zeroed array that says so when there is no memory, where std::vector would throw.
template <class T>
class HostArray {
  static_assert(std::is_trivially_copyable_v<T>, "starts as zero bytes");

 public:
  HostArray() = default;
  ~HostArray() { std::free(items_); }
  HostArray(const HostArray&) = delete;
  HostArray& operator=(const HostArray&) = delete;

  /// Once, before any use.
  bool allocate(std::size_t size) {
    items_ = static_cast<T*>(std::calloc(size > 0 ? size : 1, sizeof(T)));
    size_ = size;
    return items_ != nullptr;
  }

  std::size_t size() const { return size_; }
  T* data() { return items_; }
  const T* data() const { return items_; }
  T* begin() { return items_; }
  T* end() { return items_ + size_; }
  T& operator[](std::size_t i) { return items_[i]; }
  const T& operator[](std::size_t i) const { return items_[i]; }

 private:
  T* items_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace gradclip
