// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import java.nio.Buffer;
import java.nio.file.Files;
import java.nio.file.Path;

/** The emulated device, which only tests use; it is loaded before any other use of CUDA. */
public final class EmulatedCuda {
    private static final boolean LOADED = load();

    private EmulatedCuda() {}

    /** Returns true if the native build made the emulated device, which is then the one that backend CUDA uses. */
    public static boolean isLoaded() {
        return LOADED;
    }

    /** Returns true if a real device must exist: {@code -Ddev.gradclip.test.cuda=required}, on a GPU host. */
    public static boolean isRealRequired() {
        return "required".equals(System.getProperty("dev.gradclip.test.cuda"));
    }

    /** Returns true if there is a device, emulated or real, for tests that run on either. */
    public static boolean hasDevice() {
        return isRealRequired() || isLoaded();
    }

    /** Returns the folder where the native build puts the emulated device. */
    public static Path folder() {
        return Path.of(System.getProperty("dev.gradclip.test.cuda.emulated", "target/native/emulated"))
                .toAbsolutePath();
    }

    private static boolean load() {
        if (isRealRequired() || !Files.isRegularFile(folder().resolve("libgradclip_cuda_emulated.so"))) return false;
        CudaLibrary.useEmulated(folder());
        Availability availability = CudaLibrary.instance().availability();
        if (!availability.available()) throw new IllegalStateException(availability.reason());
        return true;
    }

    /** The CUDA calls of this thread; a garbage collector frees memory on another one at any time. */
    public record Counters(
            long launches, long allocations, long copiesToDevice, long copiesToHost, long synchronisations) {}

    /** Returns the counters since the last call of this method. */
    public static Counters counters() {
        long[] five = NativeCuda.emulatorCounters();
        return new Counters(five[0], five[1], five[2], five[3], five[4]);
    }

    /** Clears a fault and sets the order in which warps run; a real device has its own. */
    public static void reset(long seed) {
        if (LOADED) NativeCuda.emulatorReset(seed);
    }

    /** Frees memory that others still use. */
    public static void free(long address) {
        NativeCuda.free(0, address);
    }

    /** Allocates zeroed memory that has no owner. */
    public static long allocate(long bytes) {
        return NativeCuda.allocate(0, bytes);
    }

    /** Returns the device whose memory the address lies in, or -1. */
    public static int deviceOf(long address) {
        return NativeCuda.deviceOf(address);
    }

    public static int devices() {
        return NativeCuda.devices();
    }

    /** Returns the free memory of device 0, in bytes. */
    public static long freeMemory() {
        return NativeCuda.freeMemory(0);
    }

    /** Returns the address of a direct buffer's first byte. */
    public static long address(Buffer direct) {
        return NativeCuda.address(direct);
    }
}
