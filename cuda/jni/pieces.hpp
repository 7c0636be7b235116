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

/// Calls visit(i, element) for elements of a piece, of `count` from `from` on.
template <class Visit>
void forEachStrided(const Piece& piece, unsigned char* first, std::int64_t bytes, std::int64_t from, std::int64_t count,
                    Visit&& visit) {
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

/// Calls work for each tile of a piece whose elements do not lie side by side, on a copy of them; those that it changed
/// are copied back.
template <class Bits, HeapAccess access, class Work>
void forEachGathered(const Piece& piece, const PieceRange& range, unsigned char* first, Work&& work) {
  constexpr std::int64_t kBytes = sizeof(Bits), kMost = kTileBytes / kBytes;
  alignas(64) Bits copy[kMost];
  for (std::int64_t done = 0; done < range.count; done += kMost) {
    const std::int64_t from = range.firstElement + done, count = std::min(kMost, range.count - done);
    forEachStrided(piece, first, kBytes, from, count,
                   [&](std::int64_t i, const unsigned char* at) { std::memcpy(copy + i, at, kBytes); });
    work(piece, PieceRange{range.firstTile + done / kMost, from, count}, copy);
    if constexpr (access == HeapAccess::Write) {
      forEachStrided(piece, first, kBytes, from, count, [&](std::int64_t i, unsigned char* at) {
        if (std::memcmp(at, copy + i, kBytes) != 0) std::memcpy(at, copy + i, kBytes);
      });
    }
  }
}

template <HeapAccess access, class Work>
void forEachGathered(const Piece& piece, const PieceRange& range, unsigned char* first, Work&& work) {
  switch (elementBytes(piece.dtype)) {
    case 8:
      return forEachGathered<std::uint64_t, access>(piece, range, first, work);
    case 4:
      return forEachGathered<std::uint32_t, access>(piece, range, first, work);
    default:
      return forEachGathered<std::uint16_t, access>(piece, range, first, work);
  }
}

/// Calls work(piece, range, elements) for each piece with elements in [firstTile, lastTile); `elements` are copies
/// where they do not lie side by side.
template <HeapAccess access, class Work>
void forEachElements(const Pieces& pieces, jlong firstTile, jlong lastTile, Work&& work) {
  forEachPiece(pieces.table, pieces.count, firstTile, lastTile, [&](std::int64_t index, const PieceRange& range) {
    const Piece& piece = pieces.table[index];
    Elements elements(pieces, index, access);
    unsigned char* const first = elements.isThere() ? elements.enter() : nullptr;
    if (first == nullptr) return false;
    if (piece.isStrided())
      forEachGathered<access>(piece, range, first, work);
    else
      work(piece, range, first + range.firstElement * elementBytes(piece.dtype));
    elements.leave();
    return true;
  });
}

}  // namespace gradclip
