// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.memory.HostMemory;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.reduce.Tiles;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A gradient tensor in host memory: a heap array, a direct buffer, an address, or pieces of these. It is never a copy:
 * a clip writes to the memory that was wrapped.
 *
 * <p>{@code wrap} borrows memory and keeps the array, buffer or owner reachable for as long as this object is;
 * {@code allocate} owns memory. A tensor beyond 2 GiB is several pieces, see {@link #ofPieces}.
 *
 * <p>A buffer over a {@code MemorySegment} is accepted where nobody can close its arena ({@code Arena.ofAuto()} or
 * {@code Arena.global()}). Where somebody can, binding it is refused.
 *
 * <pre>{@code
 * float[] gradient = …;
 * HostBuffer buffer = HostBuffer.wrap(gradient);
 * }</pre>
 */
public final class HostBuffer implements GradientBuffer {
    private static final int LARGEST_PIECE = 1 << 30;

    final HostMemory hostMemory;

    HostBuffer(HostMemory hostMemory) {
        this.hostMemory = hostMemory;
    }

    private HostBuffer(Piece piece) {
        this(new HostMemory(piece));
    }

    /**
     * Allocates zeroed memory outside the heap, which {@link #memory} shows; it is freed when nothing refers to it.
     *
     * @throws IllegalArgumentException if length is negative or beyond the address space
     */
    public static HostBuffer allocate(DType dtype, long length) {
        List<Piece> pieces = new ArrayList<>();
        long left = HostMemory.bytes(dtype, length);
        do {
            int bytes = (int) Math.min(left, LARGEST_PIECE);
            ByteBuffer memory = ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
            pieces.add(Piece.ofBytes(dtype, memory, memory));
            left -= bytes;
        } while (left > 0);
        return new HostBuffer(new HostMemory(dtype, List.copyOf(pieces)));
    }

    /** Wraps a whole array of FLOAT32. */
    public static HostBuffer wrap(float[] array) {
        return wrap(array, 0, array.length);
    }

    /**
     * Wraps part of an array of FLOAT32.
     *
     * @throws IndexOutOfBoundsException if the range is not within the array
     */
    public static HostBuffer wrap(float[] array, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, array.length);
        return new HostBuffer(Piece.ofArray(DType.FLOAT32, array, offset, length));
    }

    /** Wraps a whole array of FLOAT64. */
    public static HostBuffer wrap(double[] array) {
        return wrap(array, 0, array.length);
    }

    /**
     * Wraps part of an array of FLOAT64.
     *
     * @throws IndexOutOfBoundsException if the range is not within the array
     */
    public static HostBuffer wrap(double[] array, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, array.length);
        return new HostBuffer(Piece.ofArray(DType.FLOAT64, array, offset, length));
    }

    /**
     * Wraps a whole array of FLOAT16 or BFLOAT16 bits.
     *
     * @throws IllegalArgumentException if dtype is neither
     */
    public static HostBuffer wrap(short[] array, DType dtype) {
        return wrap(array, 0, array.length, dtype);
    }

    /**
     * Wraps part of an array of FLOAT16 or BFLOAT16 bits.
     *
     * @throws IllegalArgumentException if dtype is neither
     * @throws IndexOutOfBoundsException if the range is not within the array
     */
    public static HostBuffer wrap(short[] array, int offset, int length, DType dtype) {
        requireHalf(dtype);
        Objects.checkFromIndexSize(offset, length, array.length);
        return new HostBuffer(Piece.ofArray(dtype, array, offset, length));
    }

    /**
     * Wraps FLOAT32 elements from the position to the limit of a buffer that is direct, or over a {@code float[]}.
     *
     * @throws IllegalArgumentException if the buffer is big-endian or hides its memory
     */
    public static HostBuffer wrap(FloatBuffer buffer) {
        if (buffer.hasArray()) {
            return wrap(buffer.array(), buffer.arrayOffset() + buffer.position(), buffer.remaining());
        }
        requireDirect(buffer, buffer.order());
        return new HostBuffer(Piece.ofDirect(DType.FLOAT32, buffer));
    }

    /**
     * Wraps FLOAT64 elements from the position to the limit of a buffer that is direct, or over a {@code double[]}.
     *
     * @throws IllegalArgumentException if the buffer is big-endian or hides its memory
     */
    public static HostBuffer wrap(DoubleBuffer buffer) {
        if (buffer.hasArray()) {
            return wrap(buffer.array(), buffer.arrayOffset() + buffer.position(), buffer.remaining());
        }
        requireDirect(buffer, buffer.order());
        return new HostBuffer(Piece.ofDirect(DType.FLOAT64, buffer));
    }

    /**
     * Wraps FLOAT16 or BFLOAT16 bits from the position to the limit of a buffer that is direct, or over a
     * {@code short[]}.
     *
     * @throws IllegalArgumentException if dtype is neither, or the buffer is big-endian or hides its memory
     */
    public static HostBuffer wrap(ShortBuffer buffer, DType dtype) {
        requireHalf(dtype);
        if (buffer.hasArray()) {
            return wrap(buffer.array(), buffer.arrayOffset() + buffer.position(), buffer.remaining(), dtype);
        }
        requireDirect(buffer, buffer.order());
        return new HostBuffer(Piece.ofDirect(dtype, buffer));
    }

    /**
     * Wraps elements of any type and alignment from the position to the limit of a buffer that is direct, or over a
     * {@code byte[]}.
     *
     * @throws IllegalArgumentException if the buffer's order is not little-endian (a new ByteBuffer's is not: call
     *     {@code order(ByteOrder.LITTLE_ENDIAN)}), it hides its memory, or what remains is not whole elements
     */
    public static HostBuffer wrap(ByteBuffer buffer, DType dtype) {
        return wrap(buffer, dtype, buffer);
    }

    /**
     * Wraps as {@link #wrap(ByteBuffer, DType)} does, for a buffer over memory that {@code owner} keeps alive: the
     * owner stays reachable through this object.
     */
    public static HostBuffer wrap(ByteBuffer buffer, DType dtype, Object owner) {
        if (!buffer.hasArray()) requireDirect(buffer, buffer.order());
        requireLittleEndian(buffer.order());
        if (buffer.remaining() % dtype.bytes() != 0) {
            throw new IllegalArgumentException(
                    buffer.remaining() + " bytes remain, which is not a whole number of " + dtype + " elements");
        }
        return new HostBuffer(Piece.ofBytes(dtype, buffer, owner));
    }

    /**
     * Wraps elements at an address, at any alignment, kept alive by {@code owner}, which stays reachable through this
     * object. Reading them needs the native library; the JVM crashes if the range is not mapped.
     *
     * @throws IllegalArgumentException if length is negative, the range reaches beyond the address space, or the
     *     address is 0 and the length is not
     * @throws BackendUnavailableException if the native library, which reads the memory, is not available
     */
    public static HostBuffer wrap(long address, long length, DType dtype, @Nullable Object owner) {
        long bytes = HostMemory.bytes(dtype, length);
        if (address == 0 && length > 0) {
            throw new IllegalArgumentException("address is 0 for " + length
                    + " elements; for a gradient that is absent, " + "declare the tensor and leave its address out");
        }
        if (HostMemory.isBeyond(address, bytes)) {
            throw new IllegalArgumentException(length + " elements of " + dtype + " at 0x" + Long.toHexString(address)
                    + " reach beyond the address space");
        }
        if (length > 0) Backend.NATIVE.require();
        return new HostBuffer(Piece.ofAddress(dtype, address, length, owner));
    }

    /**
     * Joins several pieces, in order, to one tensor that holds more than 2 GiB or arrives in parts. The norm has the
     * bits that it would have in one piece.
     *
     * @throws IllegalArgumentException if there is no piece, the types differ, or a piece before the last is not a
     *     multiple of 8 KiB
     */
    public static HostBuffer ofPieces(HostBuffer... buffers) {
        return ofPieces(Arrays.asList(buffers));
    }

    /** Joins pieces as {@link #ofPieces(HostBuffer...)} does. */
    public static HostBuffer ofPieces(List<HostBuffer> buffers) {
        if (buffers.isEmpty()) throw new IllegalArgumentException("a tensor needs at least one piece");
        List<Piece> pieces = new ArrayList<>();
        DType dtype = Objects.requireNonNull(buffers.get(0), "piece 0").dtype();
        for (HostBuffer buffer : buffers) {
            if (buffer == null) throw new NullPointerException("piece " + pieces.size() + " is null");
            if (buffer.dtype() != dtype) {
                throw new IllegalArgumentException("pieces of one tensor must have one type, but piece " + pieces.size()
                        + " is " + buffer.dtype() + " and the first is " + dtype);
            }
            pieces.addAll(buffer.hostMemory.pieces());
        }
        for (int i = 0; i < pieces.size() - 1; i++) {
            if (pieces.get(i).length() % Tiles.elements(dtype) != 0) {
                throw new IllegalArgumentException(
                        "piece " + i + " has " + pieces.get(i).length() + " elements of "
                                + dtype + "; each but the last must be a multiple of 8 KiB, " + Tiles.elements(dtype)
                                + " elements");
            }
        }
        return new HostBuffer(new HostMemory(dtype, List.copyOf(pieces)));
    }

    @Override
    public DType dtype() {
        return hostMemory.dtype();
    }

    @Override
    public long length() {
        return hostMemory.length();
    }

    /** Returns true if some of the memory can't be written. */
    public boolean isReadOnly() {
        return hostMemory.isReadOnly();
    }

    /**
     * Returns views of the memory itself, as a {@code FloatBuffer}, {@code DoubleBuffer} or {@code ShortBuffer} for
     * each piece, in order. Elements written there are those that are clipped.
     *
     * @throws IllegalStateException if the buffer wraps an address
     */
    public List<Buffer> memory() {
        List<Buffer> result = new ArrayList<>();
        for (Piece piece : hostMemory.pieces()) result.add(piece.duplicateView());
        return result;
    }

    /** {@code HostBuffer[length dtype, in n pieces, read-only]}; the elements are not shown. */
    @Override
    public String toString() {
        int pieces = hostMemory.pieces().size();
        return "HostBuffer[" + length() + " " + dtype() + (pieces == 1 ? "" : ", in " + pieces + " pieces")
                + (isReadOnly() ? ", read-only" : "") + "]";
    }

    // ---- whole sets, whose tensors errors name by place -------------------------------------------------------------

    static HostBuffer[] wrapAll(float[][] gradients) {
        HostBuffer[] buffers = new HostBuffer[gradients.length];
        for (int i = 0; i < buffers.length; i++) buffers[i] = wrap(present(gradients[i], i));
        return buffers;
    }

    static HostBuffer[] wrapAll(double[][] gradients) {
        HostBuffer[] buffers = new HostBuffer[gradients.length];
        for (int i = 0; i < buffers.length; i++) buffers[i] = wrap(present(gradients[i], i));
        return buffers;
    }

    static HostBuffer[] wrapAll(List<FloatBuffer> gradients) {
        HostBuffer[] buffers = new HostBuffer[gradients.size()];
        for (int i = 0; i < buffers.length; i++) buffers[i] = wrap(present(gradients.get(i), i));
        return buffers;
    }

    private static <T> T present(@Nullable T gradient, int tensor) {
        if (gradient == null) throw new NullPointerException("the gradient of tensor " + tensor + " is null");
        return gradient;
    }

    private static void requireHalf(DType dtype) {
        if (dtype != DType.FLOAT16 && dtype != DType.BFLOAT16) {
            throw new IllegalArgumentException("shorts hold FLOAT16 or BFLOAT16, not " + dtype);
        }
    }

    private static void requireDirect(Buffer buffer, ByteOrder order) {
        if (!buffer.isDirect()) {
            throw new IllegalArgumentException(buffer.getClass().getSimpleName()
                    + " is on the heap but hides its array (read-only, or a view of a ByteBuffer); wrap the array or "
                    + "the ByteBuffer itself, or use a direct buffer");
        }
        requireLittleEndian(order);
    }

    private static void requireLittleEndian(ByteOrder order) {
        if (order != ByteOrder.LITTLE_ENDIAN) {
            throw new IllegalArgumentException("the buffer is big-endian; gradients are little-endian: call "
                    + "order(ByteOrder.LITTLE_ENDIAN) on the ByteBuffer first");
        }
    }
}
