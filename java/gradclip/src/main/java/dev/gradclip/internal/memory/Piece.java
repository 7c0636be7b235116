// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.memory;

import dev.gradclip.DType;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A run of elements, contiguous but for a unit along an axis: in a heap array, in a direct buffer, or at an address that the owner keeps alive.
 *
 * @param dtype the type of the elements
 * @param length the number of elements
 * @param array {@code float[]}, {@code double[]}, {@code short[]} or {@code byte[]}; null outside the heap
 * @param arrayOffset the offset of the first element in the array, in bytes
 * @param view a {@code FloatBuffer}, {@code DoubleBuffer} or {@code ShortBuffer} over exactly these elements; null for
 *     a typed array and for an address
 * @param address the address of the first element if the piece was given by its address, else 0
 * @param readOnly true if the elements must not be written
 * @param owner an object that keeps the memory alive; it stays reachable as long as this piece
 * @param strided where the elements lie if they are not all side by side, else null; such a piece of an array has a
 *     view too, over the elements from its first one to its last one
 */
public record Piece(
        DType dtype,
        long length,
        @Nullable Object array,
        long arrayOffset,
        @Nullable Buffer view,
        long address,
        boolean readOnly,
        @Nullable Object owner,
        @Nullable Strided strided) {

    private static final Piece[] ABSENT = new Piece[DType.values().length];

    static {
        for (DType dtype : DType.values()) ABSENT[dtype.ordinal()] = ofAddress(dtype, 0, 0, null);
    }

    private Piece(
            DType dtype,
            long length,
            @Nullable Object array,
            long arrayOffset,
            @Nullable Buffer view,
            long address,
            boolean readOnly,
            @Nullable Object owner) {
        this(dtype, length, array, arrayOffset, view, address, readOnly, owner, null);
    }

    /** Takes elements of a heap array of the elements' type. */
    public static Piece ofArray(DType dtype, Object array, int offset, int length) {
        return new Piece(dtype, length, array, (long) offset * dtype.bytes(), null, 0, false, null);
    }

    /** Takes the bytes between the position and the limit of a buffer, which an owner keeps alive, as little-endian. */
    public static Piece ofBytes(DType dtype, ByteBuffer buffer, Object owner) {
        ByteBuffer bytes = buffer.slice().order(ByteOrder.LITTLE_ENDIAN);
        Object array = buffer.hasArray() ? buffer.array() : null;
        long offset = buffer.hasArray() ? (long) buffer.arrayOffset() + buffer.position() : 0;
        return new Piece(
                dtype,
                bytes.remaining() / dtype.bytes(),
                array,
                offset,
                typed(dtype, bytes),
                0,
                buffer.isReadOnly(),
                owner);
    }

    /** Takes the elements between the position and the limit of a direct buffer of the elements' type. */
    public static Piece ofDirect(DType dtype, Buffer buffer) {
        return new Piece(dtype, buffer.remaining(), null, 0, buffer.slice(), 0, buffer.isReadOnly(), buffer);
    }

    /** Returns a view of the bytes as the buffer type that holds such elements. */
    public static Buffer typed(DType dtype, ByteBuffer bytes) {
        return switch (dtype) {
            case FLOAT64 -> bytes.asDoubleBuffer();
            case FLOAT32 -> bytes.asFloatBuffer();
            case FLOAT16, BFLOAT16 -> bytes.asShortBuffer();
        };
    }

    public static Piece ofAddress(DType dtype, long address, long length, @Nullable Object owner) {
        return new Piece(dtype, length, null, 0, null, address, false, owner);
    }

    /** Returns the piece without elements that stands for an absent tensor; the same object each time. */
    public static Piece absent(DType dtype) {
        return ABSENT[dtype.ordinal()];
    }

    /** Returns a piece of {@code count} of these elements. */
    public Piece slice(long from, long count) {
        long bytes = from * dtype.bytes();
        Buffer part = view == null ? null : view.slice((int) from, (int) count);
        if (part == null && array == null) return new Piece(dtype, count, null, 0, null, at(bytes), readOnly, owner);
        return new Piece(dtype, count, array, arrayOffset + bytes, part, 0, readOnly, owner);
    }

    /** Returns a piece of {@code count} elements that begins at {@code from} and skips those of other units. */
    public Piece unit(long from, long count, Strided how) {
        long bytes = from * dtype.bytes();
        if (view == null && array == null) {
            return new Piece(dtype, count, null, 0, null, at(bytes), readOnly, owner, how);
        }
        Buffer part = duplicateView().slice((int) from, (int) how.span(count));
        return new Piece(dtype, count, array, arrayOffset + bytes, part, 0, readOnly, owner, how);
    }

    private long at(long bytes) {
        return address == 0 ? 0 : address + bytes;
    }

    public long byteLength() {
        return length * dtype.bytes();
    }

    /** Returns true if both pieces are the same memory, so that no rebind is needed. */
    public boolean sameMemory(Piece other) {
        return array == other.array
                && arrayOffset == other.arrayOffset
                && address == other.address
                && length == other.length
                && (array != null || view == other.view);
    }

    /** Returns a duplicate of the view, or a new view of the array. */
    public Buffer duplicateView() {
        if (view != null) return view.duplicate();
        int from = (int) (arrayOffset / dtype.bytes());
        if (array instanceof float[] floats)
            return FloatBuffer.wrap(floats, from, (int) length).slice();
        if (array instanceof double[] doubles)
            return DoubleBuffer.wrap(doubles, from, (int) length).slice();
        if (array instanceof short[] shorts)
            return ShortBuffer.wrap(shorts, from, (int) length).slice();
        throw new IllegalStateException("the buffer wraps an address, which has no Java view");
    }
}
