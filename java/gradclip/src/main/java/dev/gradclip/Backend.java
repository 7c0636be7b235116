// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.cpu.CpuPlan;
import dev.gradclip.internal.jni.Availability;
import dev.gradclip.internal.jni.CudaLibrary;
import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.jni.NativeLibrary;
import dev.gradclip.internal.stream.CpuPieceKernels;
import dev.gradclip.internal.stream.CudaPieceKernels;
import dev.gradclip.internal.stream.PieceKernels;
import dev.gradclip.internal.threads.Workers;
import java.util.Map;

/**
 * The code that clips. The L1, L2 and maximum norms, and every element written, have the same bits on every backend.
 */
public enum Backend {
    /** Plain Java: the readable specification, always available. */
    JAVA,
    /** SIMD code in C++ for host memory: the default wherever its library loads. */
    NATIVE,
    /** CUDA kernels for device memory; chosen by binding a {@link DeviceBuffer}. */
    CUDA;

    /** The best backend for host memory that is available. */
    public static Backend preferred() {
        return NATIVE.isAvailable() ? NATIVE : JAVA;
    }

    /**
     * The number of threads that a clipper uses by default: {@code -Ddev.gradclip.threads}, else the number of
     * processors.
     *
     * @throws IllegalArgumentException if the property is not a whole number from 1 on
     */
    public static int defaultThreads() {
        return Workers.defaultThreads();
    }

    /** Returns true if this backend can run here; for CUDA the call loads its library. */
    public boolean isAvailable() {
        return availability().available();
    }

    /** The reason why this backend is available, or why not. */
    public String reason() {
        return availability().reason();
    }

    /** Advice on how to make this backend available; empty where there is nothing to do. */
    public String remedy() {
        return availability().remedy();
    }

    /** Details for people: library file, version, build id; NATIVE's SIMD level; CUDA's devices as they are now. */
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

    /** The kernels for pieces that pass through host memory; 0 threads means {@link #defaultThreads}. */
    PieceKernels pieceKernels(int threads) {
        require();
        if (threads < 0) throw new IllegalArgumentException("threads must be 1 or more, or 0, but is " + threads);
        if (this == CUDA) return new CudaPieceKernels(NativeCuda.currentDevice());
        Workers team = Workers.ofThreads(threads == 0 ? Workers.defaultThreads() : threads);
        if (this == JAVA) return new CpuPieceKernels(segments -> CpuPlan.java(segments, team));
        int level = NativeLibrary.instance().level();
        return new CpuPieceKernels(segments -> CpuPlan.nativeCpu(segments, team, level));
    }

    void require() {
        if (!isAvailable()) throw new BackendUnavailableException(this);
    }
}
