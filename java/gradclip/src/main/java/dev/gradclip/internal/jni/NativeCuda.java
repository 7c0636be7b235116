// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import dev.gradclip.CudaFatalException;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * The native methods of the CUDA library, one Java declaration per C function.
 *
 * <p>Addresses, handles and streams are longs; stream 0 is the legacy default stream. A table has an entry of {@code
 * PieceTable.PIECE_BYTES} bytes for each piece. A call on a plan is one unit of work on a stream; its number is above 0
 * and names its result. CUDA's errors become a {@link dev.gradclip.CudaException}, or a {@link
 * dev.gradclip.CudaFatalException} if the process can no longer use the device; a piece that can't be bound becomes an
 * {@link UnboundPieceException}. The calling thread's current device is left as it was. One thread at a time may use a
 * plan.
 */
public final class NativeCuda {
    private NativeCuda() {}

    /** The version, and a hash of the sources that the library was built from. */
    static native String buildId();

    /** The reason why no device can be used: no driver, no device, none that the binary covers; null if one can. */
    static native @Nullable String unavailable();

    /** Returns true if kernels run on an emulated device, for tests. */
    public static native boolean emulated();

    /** The number of devices that can be used. */
    public static native int devices();

    /**
     * Returns lines {@code key=value}: name, compute capability, memory, free memory if the device has a context,
     * driver, runtime, covered.
     */
    public static native String describe(int device);

    /** The calling thread's current device. */
    public static native int currentDevice();

    /** Returns the device whose memory contains the address, or -1. */
    public static native int deviceOf(long address);

    /** The number of bytes that can be allocated on a device. */
    public static native long freeMemory(int device);

    /** Allocates zeroed device memory; returns its address. */
    public static native long allocate(int device, long bytes);

    /** Frees device memory, once the device has finished its work. */
    public static native void free(int device, long address);

    /** Copies from host memory after the stream's earlier work; complete on return. */
    public static native void copyToDevice(int device, long stream, long to, long from, long bytes);

    /** Copies to host memory after the stream's earlier work; complete on return. */
    public static native void copyToHost(int device, long stream, long to, long from, long bytes);

    /** Creates a stream that does not wait for the default stream. */
    public static native long createStream(int device);

    /** Destroys a stream once its work is done. */
    public static native void destroyStream(int device, long stream);

    /** Waits for all work of a stream. */
    public static native void synchronizeStream(int device, long stream);

    /** Begins to capture the stream's work into a graph; other threads are not affected. */
    public static native void beginCapture(int device, long stream);

    /** Ends the capture; returns a graph that can be launched. */
    public static native long endCapture(int device, long stream);

    /** Enqueues a graph's work. */
    public static native void launchGraph(int device, long graph, long stream);

    /** Destroys a graph; launches that are enqueued still run. */
    public static native void destroyGraph(int device, long graph);

    /**
     * Creates a plan: copies the table, which has one piece for each segment, checks each range and uploads it.
     *
     * @param gradients the number of segments of gradients; the segments of their weights, if any, follow in the same
     *     order
     * @param parts the largest number of parts of one rule
     */
    public static native long createPlan(int device, long table, int segments, int gradients, int parts);

    /** Makes zeroed room for histories, which is freed with the plan; returns its device address. */
    public static native long createHistory(long plan, long bytes);

    /** Waits for the plan's work and destroys the plan. */
    public static native void destroyPlan(long plan);

    /** The host address of the plan's results, in the layout of {@code CudaResults}. */
    public static native long ring(long plan);

    /**
     * Binds the plan to the table's addresses; types and lengths stay. Checks the pieces that changed; the next call
     * uploads them in one copy.
     */
    public static native void rebind(long plan, long table);

    /** Measures the segments {@code [fromSegment, toSegment)} for a later clip with {@code measured}. */
    public static native void measure(long plan, long stream, int norm, double p, int fromSegment, int toSegment);

    /** Measures all gradients; returns the call. */
    public static native long globalNorm(long plan, long stream, int norm, double p);

    /**
     * Measures unless {@code measured}, decides, and scales if it {@code applies}; {@code rule} is the address of a
     * {@code CudaRule}; returns the call.
     */
    public static native long clipByNorm(long plan, long stream, long rule, boolean measured, boolean applies);

    /** Decides from a given norm, and scales; returns the call. */
    public static native long clipWithNorm(long plan, long stream, long rule, double norm);

    /** Decides from a norm, or its square, at a device address, and scales; returns the call. */
    public static native long clipWithNormAt(
            long plan, long stream, long rule, long address, boolean isFloat32, boolean isSquared);

    /** Captures {@link #clipWithNormAt} into the stream's graph; returns the number of the captured clip. */
    public static native int captureWithNormAt(
            long plan, long stream, long rule, long address, boolean isFloat32, boolean isSquared);

    /** Clamps; returns the call. */
    public static native long clipByValue(long plan, long stream, long rule);

    /** Captures {@link #clipByNorm} into the stream's graph; returns the number of the captured clip. */
    public static native int captureByNorm(long plan, long stream, long rule);

    /** Captures {@link #clipByValue} into the stream's graph; returns the number of the captured clip. */
    public static native int captureByValue(long plan, long stream, long rule);

    /** Replaces a captured rule's numbers, except its parts, for replays enqueued on the stream from here on. */
    public static native void setNumbers(long plan, long stream, int capture, long rule);

    /**
     * Makes the state of updates, all 0; complete on return.
     *
     * @param form the ordinal of an {@code UpdateForm}
     * @param masterWeights true if 16-bit weights have master weights, in the slot after the form's
     * @param firstPieces ints: the first segment of each tensor, and where the last one's end
     */
    public static native void createUpdates(long plan, int form, boolean masterWeights, long firstPieces, int tensors);

    /**
     * Updates weights with clipped gradients; returns the call.
     *
     * @param rule {@code CudaRule}
     * @param clamps true for a value rule
     * @param numbers the head of an {@code UpdateTable}
     */
    public static native long step(long plan, long stream, long rule, boolean clamps, long numbers);

    /** Captures {@link #step} into the stream's graph; returns the number of the captured step. */
    public static native int captureStep(long plan, long stream, long rule, boolean clamps, long numbers);

    /** Replaces the numbers of a captured step's update, for replays enqueued on the stream from here on. */
    public static native void setUpdate(long plan, long stream, int capture, long numbers);

    /** Device address of each tensor's steps and products of betas: 32 bytes a tensor. */
    public static native long progressAddress(long plan);

    /** Device address of a tensor's state. */
    public static native long updateStateAddress(long plan, int slot, int tensor);

    /** Frees the number of a captured clip or step for another one. */
    public static native void closeCapture(long plan, int capture);

    /** The host address of a captured clip's or step's latest result, a {@code CudaResults} of one slot. */
    public static native long captureSlot(long plan, int capture);

    /** Waits until the call's result is complete. */
    public static native void await(long plan, long call);

    /** Waits for the stream of the plan's last call. */
    public static native void synchronize(long plan);

    /** Returns the norm of the segments {@code [fromSegment, toSegment)} as last measured, unscaled; synchronises. */
    public static native double norm(
            long plan, int norm, double p, double inverseScale, int fromSegment, int toSegment);

    /**
     * Copies the partials of all tiles, as last measured, to host memory: the middle plane, then, for FLOAT64, the low
     * and the high one. After them come as many planes of a sum for each segment; those of segments of one tile are
     * right, whose partials are not. Synchronises.
     */
    public static native void partials(long plan, long to);

    /** Returns the factor by which the last clip multiplied a segment; synchronises. */
    public static native double coefficient(long plan, int segment);

    /** The device address of the last clip's global coefficient, a double. */
    public static native long coefficientAddress(long plan);

    /** The device address of the last decision's figures for kernels of the user, listed in {@code DeviceFigure}. */
    public static native long findingAddress(long plan);

    /** Returns the address of a direct buffer's first byte, whatever its position. */
    public static native long address(Buffer direct);

    /** Returns a buffer over memory that the caller keeps alive; at most 2^31 - 1 bytes. */
    public static native ByteBuffer view(long address, long bytes);

    /**
     * Returns this thread's numbers of launches, allocations, copies to the device, copies to the host and
     * synchronisations since it last called this method; emulated only.
     */
    public static native long[] emulatorCounters();

    /** Clears a fault and sets the order of warps; emulated only. */
    public static native void emulatorReset(long seed);

    /** Releases a resource; does nothing if the device is lost, because the faulting call has thrown already. */
    public static void unlessLost(Runnable release) {
        try {
            release.run();
        } catch (CudaFatalException e) {
            // A lost device has nothing to free.
        }
    }
}
