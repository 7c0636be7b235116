// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.Availability;
import dev.gradclip.internal.CudaLibrary;
import dev.gradclip.internal.NativeLibrary;
import dev.gradclip.internal.Team;
import java.util.Map;

/** What does the element work. The L1, L2 and maximum norms, and every element written, have the same bits on each. */
public enum Backend {
    /** Plain Java: the readable specification, always there. */
    JAVA,
    /** SIMD code in C++ for host memory: the default wherever its library loads. */
    NATIVE,
    /** CUDA kernels for device memory; picked by binding a {@link DeviceBuffer}. */
    CUDA;

    /** The best backend for host memory that is available. */
    public static Backend preferred() {
        return NATIVE.isAvailable() ? NATIVE : JAVA;
    }

    /**
     * Threads that a clipper uses unless told otherwise: {@code -Ddev.gradclip.threads}, else the processors.
     *
     * @throws IllegalArgumentException if the property is not a whole number from 1 on
     */
    public static int defaultThreads() {
        return Team.defaultThreads();
    }

    /** Whether it can run here; for CUDA, asking loads its library. */
    public boolean isAvailable() {
        return availability().available();
    }

    /** Why it is available, or why not. */
    public String reason() {
        return availability().reason();
    }

    /** What to do where it is not available; empty where nothing is. */
    public String remedy() {
        return availability().remedy();
    }

    /** Facts for people: library file, version, build id; NATIVE's SIMD level; CUDA's devices as they are now. */
    public Map<String, String> details() {
        return this == CUDA ? CudaLibrary.instance().details() : availability().details();
    }

    private Availability availability() {
        return switch (this) {
            case JAVA ->
                new Availability(true, "needs nothing", "", Map.of("java", System.getProperty("java.version", "")));
            case NATIVE -> NativeLibrary.instance().availability();
            case CUDA -> CudaLibrary.instance().availability();
        };
    }

    void require() {
        if (!isAvailable()) throw new BackendUnavailableException(this);
    }
}
