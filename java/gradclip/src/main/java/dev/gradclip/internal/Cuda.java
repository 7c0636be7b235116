// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import dev.gradclip.CudaFatalException;

/** Devices, their memory and streams: what the public types ask of {@link NativeCuda}. */
public final class Cuda {
    private Cuda() {}

    /** Devices that can be used. */
    public static int devices() {
        return NativeCuda.devices();
    }

    /** The calling thread's current device. */
    public static int currentDevice() {
        return NativeCuda.currentDevice();
    }

    /** The device whose memory the address lies in, or -1. */
    public static int deviceOf(long address) {
        return NativeCuda.deviceOf(address);
    }

    /** Bytes that can be allocated on a device. */
    public static long freeMemory(int device) {
        return NativeCuda.freeMemory(device);
    }

    /** Zeroed memory. */
    public static long allocate(int device, long bytes) {
        return NativeCuda.allocate(device, bytes);
    }

    /** Gives memory back. */
    public static void free(int device, long address) {
        unlessLost(() -> NativeCuda.free(device, address));
    }

    /** A stream that does not wait for the default stream. */
    public static long createStream(int device) {
        return NativeCuda.createStream(device);
    }

    /** Lets a stream go once its work is done. */
    public static void destroyStream(int device, long stream) {
        unlessLost(() -> NativeCuda.destroyStream(device, stream));
    }

    /** Waits for all work of a stream. */
    public static void synchronizeStream(int device, long stream) {
        NativeCuda.synchronizeStream(device, stream);
    }

    /** From here on the stream's work is captured. */
    public static void beginCapture(int device, long stream) {
        NativeCuda.beginCapture(device, stream);
    }

    /** Ends the capture; returns a graph that can be launched. */
    public static long endCapture(int device, long stream) {
        return NativeCuda.endCapture(device, stream);
    }

    /** Enqueues all that was captured. */
    public static void launchGraph(int device, long graph, long stream) {
        NativeCuda.launchGraph(device, graph, stream);
    }

    /** Lets go of a graph. */
    public static void destroyGraph(int device, long graph) {
        unlessLost(() -> NativeCuda.destroyGraph(device, graph));
    }

    /** A device that is lost has nothing to give back; the work that faulted has said so. */
    private static void unlessLost(Runnable release) {
        try {
            release.run();
        } catch (CudaFatalException e) {
            return;
        }
    }
}
