// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import java.nio.Buffer;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Gradients of one shape, bound once, and how to keep a repeated clip doing what it is meant to: a clip that bites makes
 * its successor a no-op, so its threshold shrinks by a millionth each time. In 16 bits it stays a ten-thousandth below the
 * norm instead, for there every product rounds back to what it was, and the same clip bites for ever.
 */
@State(Scope.Benchmark)
public class Tensors {
    /** Backend that clips. */
    @Param({"JAVA", "NATIVE"})
    public Backend backend = Backend.NATIVE;

    /** Element type. */
    @Param({"FLOAT32"})
    public DType dtype = DType.FLOAT32;

    /** Number of tensors and elements of each. */
    @Param({"1x65536", "1x1048576", "1x16777216", "1x67108864"})
    public String shape = "1x65536";

    /** {@code heap} arrays or {@code direct} buffers. */
    @Param({"direct"})
    public String memory = "direct";

    /** 0: the processors. */
    @Param({"0"})
    public int threads;

    private GradientClipper clipper = GradientClipper.of();
    private double threshold;
    private double norm;

    /** Elements all told. */
    public static long elements(String shape) {
        String[] parts = shape.split("x", 2);
        return Long.parseLong(parts[0]) * Long.parseLong(parts[1]);
    }

    /** Fills and binds. */
    @Setup(Level.Trial)
    public void bind() {
        String[] parts = shape.split("x", 2);
        int tensors = Integer.parseInt(parts[0]);
        int length = Integer.parseInt(parts[1]);
        GradientClipperBuilder builder = GradientClipper.builder().backend(backend);
        if (threads > 0) builder.threads(threads);
        for (int i = 0; i < tensors; i++) {
            HostBuffer buffer = memory.equals("heap") ? onHeap(length) : HostBuffer.allocate(dtype, length);
            buffer.memory().forEach(piece -> fill(dtype, piece));
            builder.add(buffer);
        }
        clipper.close();
        clipper = builder.build();
        norm = clipper.globalNorm();
        threshold = halves() ? 0.9999 * norm : norm / 2;
    }

    private HostBuffer onHeap(int length) {
        return switch (dtype) {
            case FLOAT64 -> HostBuffer.wrap(new double[length]);
            case FLOAT32 -> HostBuffer.wrap(new float[length]);
            case FLOAT16, BFLOAT16 -> HostBuffer.wrap(new short[length], dtype);
        };
    }

    /** Values in [-1, 1) without a pattern that a cache or a predictor could use. */
    private static void fill(DType dtype, Buffer piece) {
        int state = 1;
        for (int i = 0; i < piece.limit(); i++) {
            state = state * 1_664_525 + 1_013_904_223;
            float value = state * 0x1p-31f;
            if (piece instanceof FloatBuffer floats) floats.put(i, value);
            else if (piece instanceof DoubleBuffer doubles) doubles.put(i, value);
            else if (piece instanceof ShortBuffer shorts) shorts.put(i, half(dtype, value));
        }
    }

    /** Truncates: which values they are does not matter here, as long as they are ordinary. */
    private static short half(DType dtype, float value) {
        int bits = Float.floatToRawIntBits(value);
        if (dtype == DType.BFLOAT16) return (short) (bits >>> 16);
        int exponent = Math.max(((bits >>> 23) & 255) - 112, 1);
        return (short) (((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff));
    }

    /** Lets go of the memory. */
    @TearDown(Level.Trial)
    public void close() {
        clipper.close();
    }

    private boolean halves() {
        return dtype.bytes() == 2;
    }

    double measure() {
        return clipper.globalNorm();
    }

    ClipResult bites() {
        if (!halves()) threshold *= 1 - 1e-6;
        ClipResult result = clipper.clipByGlobalNorm(threshold);
        if (!result.clipped()) throw new IllegalStateException("the clip did not bite: " + result);
        return result;
    }

    ClipResult doesNotBite() {
        ClipResult result = clipper.clip(ClipRule.globalNorm(2 * norm));
        if (result.clipped()) throw new IllegalStateException("the clip bit: " + result);
        return result;
    }

    /** Nothing is over the limit after the first call; what changes is timed apart, for it would have to be restored. */
    ClipResult clamp() {
        return clipper.clipByValue(0.99);
    }
}
