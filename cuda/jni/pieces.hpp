// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <jni.h>

#include <algorithm>
#include <cstring>

#include "gradclip/piece.hpp"

namespace gradclip {

/// A Java address as a pointer.
template <class T>
T* pointer(jlong address) {
  return reinterpret_cast<T*>(static_cast<std::uintptr_t>(address));
}

/// A table of pieces, and the heap arrays of those without an address.
struct Pieces {
  JNIEnv* env;
  const Piece* table;
  std::int64_t count;
  jobjectArray arrays;
};

enum class HeapAccess { Read, Write };

/// The elements of one piece while it is worked on. A heap array is held in a critical section, from enter() on: no
/// other call of JNI may come in between, so a second piece is looked up before the first is entered.
class Elements {
 public:
  Elements(const Pieces& pieces, std::int64_t index, HeapAccess access)
      : env_(pieces.env), mode_(access == HeapAccess::Read ? JNI_ABORT : 0), piece_(pieces.table[index]) {
    if (piece_.address != 0) {
      first_ = pointer<unsigned char>(piece_.address);
      return;
    }
    if (pieces.arrays != nullptr) {
      array_ = static_cast<jarray>(env_->GetObjectArrayElement(pieces.arrays, static_cast<jsize>(index)));
    }
    if (array_ == nullptr) {
      env_->ThrowNew(env_->FindClass("java/lang/IllegalStateException"),
                     "a piece with elements has neither an address nor an array");
    }
  }

  ~Elements() {
    if (array_ != nullptr) env_->DeleteLocalRef(array_);
  }

  Elements(const Elements&) = delete;
  Elements& operator=(const Elements&) = delete;

  /// The first element; null where an exception is pending in Java.
  unsigned char* enter() {
    if (array_ == nullptr) return first_;
    start_ = env_->GetPrimitiveArrayCritical(array_, nullptr);
    return start_ == nullptr ? nullptr : static_cast<unsigned char*>(start_) + piece_.arrayOffset;
  }

  void leave() {
    if (start_ != nullptr) env_->ReleasePrimitiveArrayCritical(array_, start_, mode_);
    start_ = nullptr;
  }

  /// Whether enter() can be called.
  bool isThere() const { return first_ != nullptr || array_ != nullptr; }

 private:
  JNIEnv* env_;
  jint mode_;
  const Piece& piece_;
  jarray array_ = nullptr;
  void* start_ = nullptr;
  unsigned char* first_ = nullptr;
};

/// Units of one tensor that are worked on together: they lie between each other, so what one reads of a cache line the
/// others find there. By themselves, columns of a matrix of 8192 rows of 8 KiB took 31 times as long as its rows, eight
/// together 7 times.
constexpr std::int64_t kUnitsTogether = 8;

/// How many of the pieces from `index` on, kUnitsTogether at most, are units of one tensor, the first one's next ones.
inline std::int64_t unitsTogether(const Pieces& pieces, std::int64_t index) {
  const Piece& first = pieces.table[index];
  std::int64_t units = 1;
  for (; units < kUnitsTogether && index + units < pieces.count; ++units) {
    const Piece& its = pieces.table[index + units];
    const std::int64_t between = units * first.inner * elementBytes(first.dtype);
    const bool alike = its.dtype == first.dtype && its.count == first.count && its.inner == first.inner &&
                       its.stride == first.stride && its.firstTile - first.firstTile == units * tilesOf(first);
    // Heap arrays may move, so that those of one tensor can't be told by their addresses.
    if (!alike || first.address == 0 || its.address != first.address + between) break;
  }
  return units;
}

/// Calls visit(i, element of the first unit) for elements of a unit, of `count` from `from` on.
template <class Visit>
void forEachStrided(const Piece& piece, unsigned char* first, std::int64_t from, std::int64_t count, Visit&& visit) {
  const std::int64_t bytes = elementBytes(piece.dtype);
  unsigned char* at = first + piece.index(from) * bytes;
  std::int64_t left = piece.inner - from % piece.inner;
  const std::int64_t skipped = (piece.stride - piece.inner) * bytes;
  for (std::int64_t i = 0; i < count; ++i, at += bytes) {
    visit(i, at);
    if (--left != 0) continue;
    left = piece.inner;
    at += skipped;
  }
}

/// Calls work for one tile of each of some units, on copies of their elements; those that it changed are copied back.
template <class Bits, HeapAccess access, class Work>
void onGathered(const Piece* units, std::int64_t count, std::int64_t tile, unsigned char* first, Work&& work) {
  constexpr std::int64_t kMost = kTileBytes / static_cast<std::int64_t>(sizeof(Bits));
  alignas(64) Bits copies[kUnitsTogether][kMost];
  const std::int64_t from = tile * kMost, elements = std::min(kMost, units->count - from);
  const std::int64_t between = units->inner * static_cast<std::int64_t>(sizeof(Bits));
  forEachStrided(*units, first, from, elements, [&](std::int64_t i, const unsigned char* at) {
    for (std::int64_t u = 0; u < count; ++u) std::memcpy(&copies[u][i], at + u * between, sizeof(Bits));
  });
  for (std::int64_t u = 0; u < count; ++u) {
    work(units[u], PieceRange{units[u].firstTile + tile, from, elements}, copies[u]);
  }
  if constexpr (access == HeapAccess::Write) {
    forEachStrided(*units, first, from, elements, [&](std::int64_t i, unsigned char* at) {
      for (std::int64_t u = 0; u < count; ++u) {
        unsigned char* const to = at + u * between;
        if (std::memcmp(to, &copies[u][i], sizeof(Bits)) != 0) std::memcpy(to, &copies[u][i], sizeof(Bits));
      }
    });
  }
}

/// Calls work for those tiles of some units that lie in [firstTile, lastTile), of several units at once where they do.
template <HeapAccess access, class Work>
void forEachGathered(const Piece* units, std::int64_t count, jlong firstTile, jlong lastTile, unsigned char* first,
                     Work&& work) {
  const auto isInside = [&](std::int64_t u, std::int64_t tile) {
    const std::int64_t number = units[u].firstTile + tile;
    return number >= firstTile && number < lastTile;
  };
  const std::int64_t bytes = elementBytes(units->dtype), between = units->inner * bytes, tiles = tilesOf(*units);
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    std::int64_t from = 0, to = count;
    while (from < to && !isInside(from, tile)) ++from;
    while (to > from && !isInside(to - 1, tile)) --to;
    if (from == to) continue;
    unsigned char* const at = first + from * between;
    switch (bytes) {
      case 8:
        onGathered<std::uint64_t, access>(units + from, to - from, tile, at, work);
        break;
      case 4:
        onGathered<std::uint32_t, access>(units + from, to - from, tile, at, work);
        break;
      default:
        onGathered<std::uint16_t, access>(units + from, to - from, tile, at, work);
    }
  }
}

/// Calls work(piece, range, elements) for each piece with elements in [firstTile, lastTile); `elements` are copies
/// where they do not lie side by side.
template <HeapAccess access, class Work>
void forEachElements(const Pieces& pieces, jlong firstTile, jlong lastTile, Work&& work) {
  std::int64_t done = 0;
  forEachPiece(pieces.table, pieces.count, firstTile, lastTile, [&](std::int64_t index, const PieceRange& range) {
    const Piece& piece = pieces.table[index];
    if (index < done) return true;  // with a unit before it
    Elements elements(pieces, index, access);
    unsigned char* const first = elements.isThere() ? elements.enter() : nullptr;
    if (first == nullptr) return false;
    if (piece.isStrided()) {
      const std::int64_t units = unitsTogether(pieces, index);
      forEachGathered<access>(&piece, units, firstTile, lastTile, first, work);
      done = index + units;
    } else {
      work(piece, range, first + range.firstElement * elementBytes(piece.dtype));
    }
    elements.leave();
    return true;
  });
}

}  // namespace gradclip
