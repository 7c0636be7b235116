// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import java.nio.file.Files;
import java.nio.file.Path;

/** C functions for tests: another library's flushing of subnormals, and memory that is only reserved. */
public final class TestSupport {
    private static final boolean LOADED = load();

    private TestSupport() {}

    /** Returns true if the native build ran. */
    public static boolean isLoaded() {
        return LOADED;
    }

    private static boolean load() {
        Path file = Path.of(System.getProperty("native.dir", "target/native"), "test", "libgradclip_testsupport.so");
        if (!Files.isRegularFile(file)) return false;
        System.load(file.toAbsolutePath().toString());
        return true;
    }

    /** Switches flush-to-zero and denormals-are-zero on this thread. */
    public static native void flushToZero(boolean on);

    public static native boolean flushesToZero();

    /** The library that has OpenMP threads once {@link #openMpRegion} ran. */
    public static final String OPEN_MP = "libgradclip_testsupport.so";

    /** Returns how many of {@code threads} worked in a parallel region; 1 if the library has no OpenMP. */
    public static native int openMpRegion(int threads);

    /** Returns how many threads a parallel region has that does not ask for a number. */
    public static native int openMpMost();

    /** Reserves address space that takes no memory until it is touched. */
    public static native long reserve(long bytes);

    public static native void release(long address, long bytes);
}
