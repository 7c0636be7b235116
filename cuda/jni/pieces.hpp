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

/// A table's rows and the heap arrays of those without an address.
struct Pieces {
  JNIEnv* env;
  const Piece* rows;
  std::int64_t count;
  jobjectArray arrays;
};

enum class HeapAccess { Read, Write };

/// The elements of one row while it is worked on; a heap array is held in a critical section.
class Elements {
 public:
  Elements(const Pieces& pieces, std::int64_t row, HeapAccess access)
      : env_(pieces.env), mode_(access == HeapAccess::Read ? JNI_ABORT : 0) {
    const Piece& piece = pieces.rows[row];
    if (piece.address != 0) {
      first_ = pointer<unsigned char>(piece.address);
      return;
    }
    if (pieces.arrays != nullptr) {
      array_ = static_cast<jarray>(env_->GetObjectArrayElement(pieces.arrays, static_cast<jsize>(row)));
    }
    if (array_ == nullptr) {
      env_->ThrowNew(env_->FindClass("java/lang/IllegalStateException"),
                     "a row with elements has neither an address nor an array");
      return;
    }
    start_ = env_->GetPrimitiveArrayCritical(array_, nullptr);
    if (start_ != nullptr) first_ = static_cast<unsigned char*>(start_) + piece.arrayOffset;
  }

  ~Elements() {
    if (start_ != nullptr) env_->ReleasePrimitiveArrayCritical(array_, start_, mode_);
    if (array_ != nullptr) env_->DeleteLocalRef(array_);
  }

  Elements(const Elements&) = delete;
  Elements& operator=(const Elements&) = delete;

  /// Null where an exception is pending in Java.
  unsigned char* first() const { return first_; }

 private:
  JNIEnv* env_;
  jint mode_;
  jarray array_ = nullptr;
  void* start_ = nullptr;
  unsigned char* first_ = nullptr;
};

/// Calls work(piece, range, elements) for each row with elements in [firstTile, lastTile).
template <HeapAccess access, class Work>
void forEachRow(const Pieces& pieces, jlong firstTile, jlong lastTile, Work&& work) {
  forEachPiece(pieces.rows, pieces.count, firstTile, lastTile, [&](std::int64_t row, const PieceRange& range) {
    const Piece& piece = pieces.rows[row];
    const Elements elements(pieces, row, access);
    if (elements.first() == nullptr) return false;
    work(piece, range, elements.first() + range.firstElement * elementBytes(piece.dtype));
    return true;
  });
}

}  // namespace gradclip
