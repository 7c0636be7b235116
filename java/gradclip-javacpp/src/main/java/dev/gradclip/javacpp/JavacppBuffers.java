// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.HostBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Memory that a JavaCPP {@link Pointer} names, as a buffer; no copy. The pointer's position and limit say which
 * elements, and the pointer stays reachable through the buffer: it must not be closed before.
 *
 * <pre>{@code
 * FloatPointer gradient = new FloatPointer(1024);
 * try (GradientClipper clipper = GradientClipper.of(JavacppBuffers.wrap(gradient))) {
 *     clipper.clipByGlobalNorm(1.0);
 * }
 * }</pre>
 */
public final class JavacppBuffers {
    /** The bytes that one direct buffer holds, in whole tiles of 8 KiB. */
    static final long LARGEST_PIECE = Integer.MAX_VALUE & ~8191;

    private JavacppBuffers() {}

    /**
     * FLOAT32 from position to limit; of any size.
     *
     * @throws IllegalArgumentException if the pointer is null or has no limit
     */
    public static HostBuffer wrap(FloatPointer pointer) {
        return wrap(pointer, DType.FLOAT32);
    }

    /**
     * FLOAT64 from position to limit; of any size.
     *
     * @throws IllegalArgumentException if the pointer is null or has no limit
     */
    public static HostBuffer wrap(DoublePointer pointer) {
        return wrap(pointer, DType.FLOAT64);
    }

    /**
     * Wraps the elements between position and limit: a {@code BytePointer}'s bytes, a {@code
     * ShortPointer}'s FLOAT16 or BFLOAT16 bits, a typed pointer's elements. Of any size and alignment.
     *
     * @throws IllegalArgumentException if the pointer is null, has no limit (as one that a library returned: give it
     *     its {@code capacity}), holds elements of another size, or is not a whole number of elements
     */
    public static HostBuffer wrap(Pointer pointer, DType dtype) {
        Range range = Range.of(pointer, dtype);
        return wrap(range.address, range.bytes, dtype, pointer);
    }

    /**
     * Wraps the elements between position and limit of a pointer to the memory of a CUDA device.
     *
     * @throws IllegalArgumentException as {@link #wrap(Pointer, DType)}, or if it points elsewhere
     * @throws dev.gradclip.BackendUnavailableException if there is no CUDA device
     */
    public static DeviceBuffer wrapDevice(Pointer pointer, DType dtype) {
        Range range = Range.of(pointer, dtype);
        return DeviceBuffer.wrap(range.address, range.bytes / dtype.bytes(), dtype, pointer);
    }

    /**
     * Bytes at an address that an owner keeps alive, which stays reachable through the buffer. As direct buffers, which
     * every backend reads; in pieces, for one buffer holds 2 GiB at most. The JVM dies where the range is not mapped.
     *
     * @throws IllegalArgumentException if the bytes are not a whole number of elements
     */
    public static HostBuffer wrap(long address, long bytes, DType dtype, Object owner) {
        requireWhole(bytes, dtype);
        if (bytes == 0) return HostBuffer.allocate(dtype, 0);
        List<HostBuffer> pieces = new ArrayList<>(1);
        long done = 0;
        while (done < bytes) {
            long piece = Math.min(LARGEST_PIECE, bytes - done);
            BytePointer at = new BytePointer(new At(address + done)).capacity(piece);
            pieces.add(HostBuffer.wrap(at.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN), dtype, owner));
            done += piece;
        }
        return pieces.size() == 1 ? pieces.get(0) : HostBuffer.ofPieces(pieces);
    }

    private static void requireWhole(long bytes, DType dtype) {
        if (bytes % dtype.bytes() != 0) {
            throw new IllegalArgumentException(bytes + " bytes are not a whole number of " + dtype + " elements");
        }
    }

    /** A number as a pointer. */
    private static final class At extends Pointer {
        At(long address) {
            this.address = address;
        }
    }

    private record Range(long address, long bytes) {
        static Range of(Pointer pointer, DType dtype) {
            if (Pointer.isNull(pointer)) {
                throw new IllegalArgumentException(
                        "the pointer is null; a gradient that is absent is declared, not wrapped");
            }
            int size = pointer.sizeof();
            if (size != 1 && size != dtype.bytes()) {
                throw new IllegalArgumentException(pointer.getClass().getSimpleName() + " has elements of " + size
                        + " bytes, but " + dtype + " has " + dtype.bytes() + "; give the type that it holds");
            }
            if (pointer.limit() == 0) {
                throw new IllegalArgumentException("the pointer has no limit, so its length is not known; "
                        + "call capacity(elements) on it first");
            }
            long bytes = (pointer.limit() - pointer.position()) * size;
            requireWhole(bytes, dtype);
            return new Range(pointer.address() + pointer.position() * size, bytes);
        }
    }
}
