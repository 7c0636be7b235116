// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.memory;

import dev.gradclip.DType;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The elements of one tensor in host memory, in one or several pieces. */
public final class HostMemory implements TensorMemory {
    private final DType dtype;
    private final long length;
    private final boolean readOnly;
    private final List<Piece> pieces;

    /** Takes the elements of all pieces, which have this type. */
    public HostMemory(DType dtype, List<Piece> pieces) {
        this.dtype = dtype;
        this.pieces = pieces;
        long sum = 0;
        boolean refusesWrites = false;
        for (Piece piece : pieces) {
            sum += piece.length();
            refusesWrites |= piece.readOnly();
        }
        length = sum;
        readOnly = refusesWrites;
    }

    public HostMemory(Piece piece) {
        this(piece.dtype(), List.of(piece));
    }

    /**
     * Returns a type and a length without memory.
     *
     * @throws IllegalArgumentException if the length is negative or beyond the address space
     */
    public static HostMemory shape(DType dtype, long length) {
        bytes(dtype, length);
        return ofAddress(dtype, 0, length, null);
    }

    /** Returns the elements at an address that {@code owner} keeps alive. */
    public static HostMemory ofAddress(DType dtype, long address, long length, @Nullable Object owner) {
        return new HostMemory(Piece.ofAddress(dtype, address, length, owner));
    }

    /**
     * Returns the size of a tensor in bytes.
     *
     * @throws IllegalArgumentException if the length is negative or beyond the address space
     */
    public static long bytes(DType dtype, long length) {
        if (length < 0) throw new IllegalArgumentException("length must be 0 or more, but is " + length);
        if (length > Long.MAX_VALUE / dtype.bytes()) {
            throw new IllegalArgumentException(length + " elements of " + dtype + " exceed the address space");
        }
        return length * dtype.bytes();
    }

    /** Returns true if a range exceeds the last address, or crosses from the lower half of addresses into the upper. */
    public static boolean isBeyond(long address, long bytes) {
        long end = address + bytes;
        return bytes > 0 && (Long.compareUnsigned(end, address) < 0 || (address >= 0 && end < 0));
    }

    /** Returns the type, the length and the pieces' lengths, without a reference to the memory. */
    public HostMemory shape() {
        Piece[] lengths = new Piece[pieces.size()];
        for (int i = 0; i < lengths.length; i++) {
            lengths[i] = Piece.ofAddress(dtype, 0, pieces.get(i).length(), null);
        }
        return new HostMemory(dtype, List.of(lengths));
    }

    @Override
    public DType dtype() {
        return dtype;
    }

    @Override
    public long length() {
        return length;
    }

    /** Returns true if a piece is read-only. */
    public boolean isReadOnly() {
        return readOnly;
    }

    public List<Piece> pieces() {
        return pieces;
    }

    /** Returns true if the other memory has pieces of the same lengths; their types are not compared. */
    public boolean hasPiecesOf(HostMemory other) {
        if (pieces.size() != other.pieces.size()) return false;
        for (int i = 0; i < pieces.size(); i++) {
            if (pieces.get(i).length() != other.pieces.get(i).length()) return false;
        }
        return true;
    }

    /** Throws if the memory may be freed although this object is reachable. */
    public void requireLasting(String name) {
        for (Piece piece : pieces) Arenas.requireLasting(piece, name);
    }
}
