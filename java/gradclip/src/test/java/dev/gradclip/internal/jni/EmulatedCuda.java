// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import java.nio.Buffer;
import java.nio.file.Files;
import java.nio.file.Path;

/** The emulated device, which tests alone use: loaded before anything else asks for CUDA. */
public final class EmulatedCuda {
    private static final boolean LOADED = load();

    private EmulatedCuda() {}

    /** Whether the native build made it; from here on it is what {@link dev.gradclip.Backend#CUDA} means. */
    public static boolean isLoaded() {
        return LOADED;
    }

    /** Whether a real device must be there: {@code -Ddev.gradclip.test.cuda=required}, on a GPU host. */
    public static boolean isRealRequired() {
        return "required".equals(System.getProperty("dev.gradclip.test.cuda"));
    }

    /** Whether there is a device, emulated or real, for tests that run on either. */
    public static boolean hasDevice() {
        return isRealRequired() || isLoaded();
    }

    /** Where the native build puts it. */
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

    /** What calls of this thread amounted to: a collector frees memory on another when it likes. */
    public record Counters(
            long launches, long allocations, long copiesToDevice, long copiesToHost, long synchronisations) {}

    /** Since it was last asked. */
    public static Counters counters() {
        long[] five = NativeCuda.emulatorCounters();
        return new Counters(five[0], five[1], five[2], five[3], five[4]);
    }

    /** Clears a fault and sets the order in which warps run; a real device has its own. */
    public static void reset(long seed) {
        if (LOADED) NativeCuda.emulatorReset(seed);
    }

    /** Frees memory behind the back of whoever holds it. */
    public static void free(long address) {
        NativeCuda.free(0, address);
    }

    /** Zeroed memory that nobody owns. */
    public static long allocate(long bytes) {
        return NativeCuda.allocate(0, bytes);
    }

    /** The device whose memory the address lies in, or -1. */
    public static int deviceOf(long address) {
        return NativeCuda.deviceOf(address);
    }

    public static int devices() {
        return NativeCuda.devices();
    }

    /** Of device 0, in bytes. */
    public static long freeMemory() {
        return NativeCuda.freeMemory(0);
    }

    /** Of a direct buffer's first byte. */
    public static long address(Buffer direct) {
        return NativeCuda.address(direct);
    }
}
