// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.NativeLibrary;
import dev.gradclip.internal.Team;
import java.util.Map;

/** What does the element work. The L1, L2 and maximum norms, and every element written, have the same bits on each. */
public enum Backend {
    /** Plain Java: the readable specification, always there. */
    JAVA,
    /** SIMD code in C++ for host memory: the default wherever its library loads. */
    NATIVE,
    /** CUDA kernels for device memory. */
    CUDA;

    /** The best backend for host memory that is available. */
    public static Backend preferred() {
        return NATIVE.isAvailable() ? NATIVE : JAVA;
    }

    /** Threads that a clipper uses unless told otherwise: {@code -Ddev.gradclip.threads}, else the processors. */
    public static int defaultThreads() {
        return Team.defaultThreads();
    }

    /** Whether it can run here. */
    public boolean isAvailable() {
        return switch (this) {
            case JAVA -> true;
            case NATIVE -> NativeLibrary.instance().isLoaded();
            case CUDA -> false;
        };
    }

    /** Why it is available, or why not. */
    public String reason() {
        return switch (this) {
            case JAVA -> "needs nothing";
            case NATIVE -> NativeLibrary.instance().reason();
            case CUDA -> "this version of gradclip has no CUDA kernels yet";
        };
    }

    /** What to do where it is not available; empty where nothing is. */
    public String remedy() {
        return switch (this) {
            case JAVA -> "";
            case NATIVE -> NativeLibrary.instance().remedy();
            case CUDA -> "Use NATIVE or JAVA";
        };
    }

    /** Facts for people: library file, version, build id, SIMD level. */
    public Map<String, String> details() {
        return switch (this) {
            case JAVA -> Map.of("java", System.getProperty("java.version", ""));
            case NATIVE -> NativeLibrary.instance().details();
            case CUDA -> Map.of();
        };
    }

    void require() {
        if (!isAvailable()) throw new BackendUnavailableException(this);
    }
}
