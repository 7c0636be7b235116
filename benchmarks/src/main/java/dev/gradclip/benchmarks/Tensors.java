// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.measure.GradientSet;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Shapes;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Gradients of one shape, bound once, and how to keep a repeated clip doing what it is meant to: a clip that bites
 * makes its successor a no-op, so its threshold shrinks by a millionth each time. In 16 bits it stays a ten-thousandth
 * below the norm instead, for there every product rounds back to what it was, and the same clip bites for ever.
 */
@State(Scope.Benchmark)
public class Tensors {
    /** The memory that a fork may take outside its heap is three times that. */
    private static final long MOST_BYTES = 1 << 30;

    /** Backend that clips. */
    @Param({"JAVA", "NATIVE"})
    public Backend backend = Backend.NATIVE;

    /** Element type. */
    @Param({"FLOAT32"})
    public DType dtype = DType.FLOAT32;

    /** Number of tensors and elements of each, or a name of {@link Shapes}. */
    @Param({"1x65536", "1x1048576", "1x16777216", "1x67108864"})
    public String shape = "1x65536";

    /** {@code heap} arrays or {@code direct} buffers. */
    @Param({"direct"})
    public String memory = "direct";

    /** 0: the processors. */
    @Param({"0"})
    public int threads;

    private GradientClipper clipper = GradientClipper.builder().build();
    private double threshold;
    private double norm;
    private boolean halves;

    /** Fills and binds. */
    @Setup(Level.Trial)
    public void bind() {
        Shape bound = Shapes.named(shape, dtype, MOST_BYTES);
        GradientSet set = memory.equals("heap") ? GradientSet.onHeap(bound) : new GradientSet(bound, backend);
        set.ordinary();
        GradientClipperBuilder builder = GradientClipper.builder().backend(backend);
        if (threads > 0) builder.threads(threads);
        set.buffers().forEach(builder::add);
        clipper.close();
        clipper = builder.build();
        norm = clipper.globalNorm();
        halves = bound.isHalves();
        threshold = halves ? 0.9999 * norm : norm / 2;
    }

    /** Lets go of the memory. */
    @TearDown(Level.Trial)
    public void close() {
        clipper.close();
    }

    double measure() {
        return clipper.globalNorm();
    }

    ClipResult bites() {
        if (!halves) threshold *= 1 - 1e-6;
        ClipResult result = clipper.clipByGlobalNorm(threshold);
        if (!result.clipped()) throw new IllegalStateException("the clip did not bite: " + result);
        return result;
    }

    ClipResult doesNotBite() {
        ClipResult result = clipper.clip(ClipRule.globalNorm(2 * norm));
        if (result.clipped()) throw new IllegalStateException("the clip bit: " + result);
        return result;
    }

    /**
     * Nothing is over the limit after the first call; what changes is timed apart, for it would have to be restored.
     */
    ClipResult clamp() {
        return clipper.clipByValue(0.99);
    }
}
