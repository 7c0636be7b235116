// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import dev.gradclip.CudaFatalException;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * The native methods of the CUDA library, one Java declaration per C function.
 *
 * <p>Addresses, handles and streams are longs; stream 0 is the legacy default stream. A table has an
 * entry of {@code PieceTable.PIECE_BYTES} bytes for each piece. What CUDA reports becomes a {@link
 * dev.gradclip.CudaException}, or a {@link dev.gradclip.CudaFatalException} where the device is lost to the process; a
 * piece that can't be bound becomes a {@link UnboundPieceException}. The calling thread's current device is left as it
 * was. A plan takes calls from one thread at a time.
 */
public final class NativeCuda {
    private NativeCuda() {}

    /** Version and hash of the sources the library was built from. */
    public static native String buildId();

    /** Why no device can be used: no driver, no device, none that the binary covers; null where one can. */
    public static native @Nullable String unavailable();

    /** Returns true if kernels run on an emulated device, for tests. */
    public static native boolean emulated();

    /** Devices that can be used. */
    public static native int devices();

    /**
     * Lines {@code key=value}: name, compute capability, memory, free memory where the device has a context, driver,
     * runtime, covered.
     */
    public static native String describe(int device);

    /** The calling thread's current device. */
    public static native int currentDevice();

    /** The device whose memory the address lies in, or -1. */
    public static native int deviceOf(long address);

    /** Bytes that can be allocated on a device. */
    public static native long freeMemory(int device);

    /** Zeroed device memory. */
    public static native long allocate(int device, long bytes);

    /** Gives it back once the device is done with it. */
    public static native void free(int device, long address);

    /** From host memory; complete on return, ordered after the stream's earlier work. */
    public static native void copyToDevice(int device, long stream, long to, long from, long bytes);

    /** To host memory; complete on return, ordered after the stream's earlier work. */
    public static native void copyToHost(int device, long stream, long to, long from, long bytes);

    /** A stream that does not wait for the default stream. */
    public static native long createStream(int device);

    /** Destroys it once its work is done. */
    public static native void destroyStream(int device, long stream);

    /** Waits for all work of a stream. */
    public static native void synchronizeStream(int device, long stream);

    /** From here on the stream's work is captured; what other threads do is their own. */
    public static native void beginCapture(int device, long stream);

    /** Ends the capture; returns a graph that can be launched. */
    public static native long endCapture(int device, long stream);

    /** Enqueues all that was captured. */
    public static native void launchGraph(int device, long graph, long stream);

    /** Lets go of it; what was launched still runs. */
    public static native void destroyGraph(int device, long graph);

    /**
     * Copies the table, one row a segment, checks each range and uploads.
     *
     * @param gradients the first so many segments; the others are their parameters, in the same order, or there are
     *     none
     * @param parts at most, of one rule
     */
    public static native long createPlan(int device, long table, int segments, int gradients, int parts);

    /** Waits for what is in flight. */
    public static native void destroyPlan(long plan);

    /** Host address of the results: {@code CudaResults}. */
    public static native long ring(long plan);

    /**
     * Same rows, types and lengths, or absent; checks what changed. The upload goes with the next call, in one copy.
     */
    public static native void rebind(long plan, long table);

    /** Measures the segments {@code [fromSegment, toSegment)} for a clip that is told so. */
    public static native void measure(long plan, long stream, int norm, double p, int fromSegment, int toSegment);

    /** Measures all; returns a ticket above 0. */
    public static native long globalNorm(long plan, long stream, int norm, double p);

    /**
     * Measures unless {@code measured}, decides, and scales if it {@code applies}; {@code rule}: {@code CudaRule};
     * returns a ticket.
     */
    public static native long clipByNorm(long plan, long stream, long rule, boolean measured, boolean applies);

    /** Decides by a norm that is given, and scales; returns a ticket. */
    public static native long clipWithNorm(long plan, long stream, long rule, double norm);

    /** Clips as {@link #clipWithNorm} does, by a norm, or its square, that lies at a device address. */
    public static native long clipWithNormAt(
            long plan, long stream, long rule, long address, boolean isFloat32, boolean isSquared);

    /**
     * Captures {@link #clipWithNormAt} into the graph that the stream is captured into; returns the number of the
     * captured clip.
     */
    public static native int captureWithNormAt(
            long plan, long stream, long rule, long address, boolean isFloat32, boolean isSquared);

    /** Clamps; returns a ticket. */
    public static native long clipByValue(long plan, long stream, long rule);

    /**
     * Captures {@link #clipByNorm} into the graph that the stream is captured into; returns the number of the captured
     * clip.
     */
    public static native int captureByNorm(long plan, long stream, long rule);

    /**
     * Captures {@link #clipByValue} into the graph that the stream is captured into; returns the number of the captured
     * clip.
     */
    public static native int captureByValue(long plan, long stream, long rule);

    /** A rule's numbers, but for its parts, for the replays that the stream is given from here on. */
    public static native void setNumbers(long plan, long stream, int capture, long rule);

    /** Lets another clip have the number. */
    public static native void closeCapture(long plan, int capture);

    /** Host address of a captured clip's latest result: a {@code CudaResults} of one. */
    public static native long captureSlot(long plan, int capture);

    /** Waits until the slot holds the ticket. */
    public static native void await(long plan, long ticket);

    /** Waits for the stream of the plan's last call. */
    public static native void synchronize(long plan);

    /** The norm of the segments {@code [fromSegment, toSegment)} as measured last, unscaled; synchronises. */
    public static native double norm(
            long plan, int norm, double p, double inverseScale, int fromSegment, int toSegment);

    /**
     * Copies the tiles' partials of a plan of one segment, as measured last, to host memory: the middle plane, then,
     * for FLOAT64, the low and the high one; synchronises.
     */
    public static native void partials(long plan, long to);

    /** The factor that the last clip multiplied a segment by; synchronises. */
    public static native double coefficient(long plan, int segment);

    /** Device address of the last clip's global coefficient, a double. */
    public static native long coefficientAddress(long plan);

    /** Device address of the last decision's figures for others' kernels: {@code DeviceFigure}. */
    public static native long findingAddress(long plan);

    /** The address of a direct buffer's first byte, whatever its position. */
    public static native long address(Buffer direct);

    /** A buffer over memory that the caller keeps alive; at most 2^31 - 1 bytes. */
    public static native ByteBuffer view(long address, long bytes);

    /**
     * Launches, allocations, copies to the device, copies to the host, synchronisations by this thread since its last
     * call; emulated only.
     */
    public static native long[] emulatorCounters();

    /** Clears a fault and sets the order of warps; emulated only. */
    public static native void emulatorReset(long seed);

    /** Gives something back; a device that is lost has nothing to give back, and the work that faulted has said so. */
    public static void unlessLost(Runnable release) {
        try {
            release.run();
        } catch (CudaFatalException e) {
            return;
        }
    }
}
