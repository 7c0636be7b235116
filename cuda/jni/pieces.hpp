// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <jni.h>

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

/// Calls work(piece, range, elements) for each piece with elements in [firstTile, lastTile).
template <HeapAccess access, class Work>
void forEachElements(const Pieces& pieces, jlong firstTile, jlong lastTile, Work&& work) {
  forEachPiece(pieces.table, pieces.count, firstTile, lastTile, [&](std::int64_t index, const PieceRange& range) {
    const Piece& piece = pieces.table[index];
    Elements elements(pieces, index, access);
    unsigned char* const first = elements.isThere() ? elements.enter() : nullptr;
    if (first == nullptr) return false;
    work(piece, range, first + range.firstElement * elementBytes(piece.dtype));
    elements.leave();
    return true;
  });
}

}  // namespace gradclip
