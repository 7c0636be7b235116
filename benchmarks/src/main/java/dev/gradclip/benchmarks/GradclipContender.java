// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;

/** This library, bound once. */
final class GradclipContender implements Contender {
    private final Backend backend;
    private final boolean heap;
    private final int threads;
    private final String openMpLibrary;
    private final List<FloatBuffer> gradients = new ArrayList<>();
    private GradientClipper clipper = GradientClipper.of();

    /**
     * On heap arrays or on direct memory.
     *
     * @param openMpLibrary whose threads do the work, as its users would have it; empty for threads of this library's own
     */
    GradclipContender(Backend backend, boolean heap, int threads, String openMpLibrary) {
        this.backend = backend;
        this.heap = heap;
        this.threads = threads;
        this.openMpLibrary = openMpLibrary;
    }

    @Override
    public String name() {
        return "gradclip " + backend + (heap ? " heap" : "");
    }

    @Override
    public void bind(int[] lengths) {
        close();
        gradients.clear();
        GradientClipperBuilder builder = GradientClipper.builder().backend(backend);
        if (openMpLibrary.isEmpty()) builder.threads(threads);
        else builder.openMpThreads(openMpLibrary, threads);
        for (int length : lengths) {
            HostBuffer buffer = heap ? HostBuffer.wrap(new float[length]) : HostBuffer.allocate(DType.FLOAT32, length);
            gradients.add((FloatBuffer) buffer.memory().get(0));
            builder.add(buffer);
        }
        clipper = builder.build();
    }

    @Override
    public FloatBuffer gradient(int tensor) {
        return gradients.get(tensor);
    }

    @Override
    public boolean isExact() {
        return true;
    }

    @Override
    public double globalNorm() {
        return clipper.globalNorm();
    }

    @Override
    public double clipByGlobalNorm(double maxNorm) {
        return clipper.clipByGlobalNorm(maxNorm).totalNorm();
    }

    @Override
    public void clipByValue(double limit) {
        clipper.clipByValue(limit);
    }

    @Override
    public void close() {
        clipper.close();
    }
}
