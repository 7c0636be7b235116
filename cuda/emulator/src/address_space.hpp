// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace gradclip::emulator {

/// A reserved range of addresses, none of which can be accessed, given out in pieces of whole pages with unused pages
/// between them. A freed piece is not given out again before all the rest was, so stale addresses stay dead for long.
class AddressSpace {
 public:
  explicit AddressSpace(std::size_t bytes);
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  /// The first address of `bytes` (rounded up to pages), or 0 where no gap is large enough.
  std::uintptr_t take(std::size_t bytes);
  void giveBack(std::uintptr_t address);

 private:
  std::uintptr_t start_;
  std::size_t bytes_;
  std::uintptr_t next_;
  std::map<std::uintptr_t, std::uintptr_t> taken_;  ///< start to end, guards included
};

std::size_t pageBytes();
std::size_t toPages(std::size_t bytes);

}  // namespace gradclip::emulator
