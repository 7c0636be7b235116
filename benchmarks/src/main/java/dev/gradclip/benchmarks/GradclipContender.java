// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.measure.GradientSet;
import dev.gradclip.measure.Shape;
import java.nio.Buffer;
import org.jspecify.annotations.Nullable;

/** This library, bound once. */
final class GradclipContender implements Contender {
    private final Backend backend;
    private final boolean heap;
    private final int threads;
    private final String openMpLibrary;
    private @Nullable GradientSet set;
    private GradientClipper clipper = GradientClipper.builder().build();

    /**
     * On heap arrays or on direct memory.
     *
     * @param openMpLibrary whose threads do the work, as its users would have it; empty for threads of this library's
     *     own
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
    public void bind(Shape shape) {
        close();
        GradientSet gradients = heap ? GradientSet.onHeap(shape) : new GradientSet(shape, backend);
        GradientClipperBuilder builder = GradientClipper.builder().backend(backend);
        if (openMpLibrary.isEmpty()) builder.threads(threads);
        else builder.openMpThreads(openMpLibrary, threads);
        gradients.buffers().forEach(builder::add);
        set = gradients;
        clipper = builder.build();
    }

    @Override
    public Buffer gradient(int tensor) {
        if (set == null) throw new IllegalStateException("not bound");
        return set.memory(tensor);
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
        return clipper.clipByGlobalNorm(maxNorm).globalNorm();
    }

    @Override
    public void clipPerTensorNorm(double maxNorm) {
        clipper.clipPerTensorNorm(maxNorm);
    }

    @Override
    public void clipByValue(double limit) {
        clipper.clipByValue(limit);
    }

    @Override
    public void close() {
        clipper.close();
        set = null;
    }
}
