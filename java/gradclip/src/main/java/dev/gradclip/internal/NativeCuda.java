// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * The native methods of the CUDA library, one Java declaration per C function.
 *
 * <p>Addresses, handles and streams are longs; stream 0 is the legacy default stream. A table is rows of {@link
 * PieceTable#ROW_BYTES} bytes. What CUDA reports becomes a {@link dev.gradclip.CudaException}, or a {@link
 * dev.gradclip.CudaFatalException} where the device is lost to the process; a row that can't be bound becomes a {@link
 * RowException}. The calling thread's current device is left as it was. A plan takes calls from one thread at a time.
 */
final class NativeCuda {
    private NativeCuda() {}

    /** Version and hash of the sources the library was built from. */
    static native String buildId();

    /** Why no device can be used: no driver, no device, none that the binary covers; null where one can. */
    static native @Nullable String unavailable();

    /** Whether kernels run on an emulated device, for tests. */
    static native boolean emulated();

    /** Devices that can be used. */
    static native int devices();

    /** Lines {@code key=value}: name, compute capability, memory, free memory where the device has a context, driver, runtime, covered. */
    static native String describe(int device);

    /** The calling thread's current device. */
    static native int currentDevice();

    /** The device whose memory the address lies in, or -1. */
    static native int deviceOf(long address);

    /** Bytes that can be allocated on a device. */
    static native long freeMemory(int device);

    /** Zeroed device memory. */
    static native long allocate(int device, long bytes);

    /** Gives it back once the device is done with it. */
    static native void free(int device, long address);

    /** From host memory; complete on return, ordered after the stream's earlier work. */
    static native void copyToDevice(int device, long stream, long to, long from, long bytes);

    /** To host memory; complete on return, ordered after the stream's earlier work. */
    static native void copyToHost(int device, long stream, long to, long from, long bytes);

    /** A stream that does not wait for the default stream. */
    static native long createStream(int device);

    /** Destroys it once its work is done. */
    static native void destroyStream(int device, long stream);

    /** Waits for all work of a stream. */
    static native void synchronizeStream(int device, long stream);

    /** From here on the stream's work is captured; what other threads do is their own. */
    static native void beginCapture(int device, long stream);

    /** Ends the capture; returns a graph that can be launched. */
    static native long endCapture(int device, long stream);

    /** Enqueues all that was captured. */
    static native void launchGraph(int device, long graph, long stream);

    /** Lets go of it; what was launched still runs. */
    static native void destroyGraph(int device, long graph);

    /**
     * Copies the table, one row a segment, checks each range and uploads.
     *
     * @param gradients the first so many segments; the others are their parameters, in the same order, or there are none
     * @param parts at most, of one rule
     */
    static native long createPlan(int device, long table, int segments, int gradients, int parts);

    /** Waits for what is in flight. */
    static native void destroyPlan(long plan);

    /** Host address of the results: {@link CudaRing}. */
    static native long ring(long plan);

    /** Same rows, types and lengths, or absent; checks what changed. The upload goes with the next call, in one copy. */
    static native void rebind(long plan, long table);

    /** Measures the segments {@code [fromSegment, toSegment)} for a clip that is told so. */
    static native void measure(long plan, long stream, int norm, double p, int fromSegment, int toSegment);

    /** Measures all; returns a ticket above 0. */
    static native long globalNorm(long plan, long stream, int norm, double p);

    /** Measures unless {@code measured}, decides, and scales if it {@code applies}; {@code rule}: {@link RuleTable}; returns a ticket. */
    static native long clipByNorm(long plan, long stream, long rule, boolean measured, boolean applies);

    /** Decides by a norm that is given, and scales; returns a ticket. */
    static native long clipWithNorm(long plan, long stream, long rule, double norm);

    /** As {@link #clipWithNorm}, by a norm, or its square, that lies at a device address. */
    static native long clipWithNormAt(
            long plan, long stream, long rule, long address, boolean isFloat32, boolean isSquared);

    /** As {@link #clipWithNormAt}, into the graph that the stream is captured into; returns the number of the captured clip. */
    static native int captureWithNormAt(
            long plan, long stream, long rule, long address, boolean isFloat32, boolean isSquared);

    /** Clamps; returns a ticket. */
    static native long clipByValue(long plan, long stream, long rule);

    /** As {@link #clipByNorm}, into the graph that the stream is captured into; returns the number of the captured clip. */
    static native int captureByNorm(long plan, long stream, long rule);

    /** As {@link #clipByValue}, into the graph that the stream is captured into; returns the number of the captured clip. */
    static native int captureByValue(long plan, long stream, long rule);

    /** A rule's numbers, but for its parts, for the replays that the stream is given from here on. */
    static native void setNumbers(long plan, long stream, int capture, long rule);

    /** Lets another clip have the number. */
    static native void closeCapture(long plan, int capture);

    /** Host address of a captured clip's latest result: a {@link CudaRing} of one. */
    static native long captureSlot(long plan, int capture);

    /** Waits until the slot holds the ticket. */
    static native void await(long plan, long ticket);

    /** Waits for the stream of the plan's last call. */
    static native void synchronize(long plan);

    /** The norm of the segments {@code [fromSegment, toSegment)} as measured last, unscaled; synchronises. */
    static native double norm(long plan, int norm, double p, double inverseScale, int fromSegment, int toSegment);

    /**
     * Copies the tiles' partials of a plan of one segment, as measured last, to host memory: the middle plane, then, for
     * FLOAT64, the low and the high one; synchronises.
     */
    static native void partials(long plan, long to);

    /** What the last clip multiplied a segment by; synchronises. */
    static native double coefficient(long plan, int segment);

    /** Device address of the last clip's global coefficient, a double. */
    static native long coefficientAddress(long plan);

    /** Device address of the last decision's figures for others' kernels: {@link DeviceFigure}. */
    static native long findingAddress(long plan);

    /** The address of a direct buffer's first byte, whatever its position. */
    static native long address(Buffer direct);

    /** A buffer over memory that the caller keeps alive; at most 2^31 - 1 bytes. */
    static native ByteBuffer view(long address, long bytes);

    /**
     * Launches, allocations, copies to the device, copies to the host, synchronisations by this thread since its last call;
     * emulated only.
     */
    static native long[] emulatorCounters();

    /** Clears a fault and sets the order of warps; emulated only. */
    static native void emulatorReset(long seed);
}
