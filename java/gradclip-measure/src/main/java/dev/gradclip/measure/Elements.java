// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import dev.gradclip.DType;
import java.nio.Buffer;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;

/** Fills, reads and copies elements of any type in a FloatBuffer, DoubleBuffer or ShortBuffer. */
public final class Elements {
    private int state;

    /** Begins a sequence. */
    Elements(int seed) {
        state = seed;
    }

    /** Returns the next of a sequence without a pattern that a cache or a predictor could use. */
    int random() {
        state = state * 1_664_525 + 1_013_904_223;
        return state;
    }

    /** Fills buffers with values in [-1, 1), the same ones each time. */
    public static void fill(Iterable<? extends Buffer> buffers, DType dtype) {
        Elements values = new Elements(1);
        for (Buffer buffer : buffers) values.fill(buffer, dtype);
    }

    void fill(Buffer buffer, DType dtype) {
        for (int i = 0; i < buffer.limit(); i++) put(buffer, dtype, i, random() * 0x1p-31f);
    }

    static void put(Buffer buffer, DType dtype, int index, float value) {
        if (buffer instanceof FloatBuffer floats) floats.put(index, value);
        else if (buffer instanceof DoubleBuffer doubles) doubles.put(index, value);
        else ((ShortBuffer) buffer).put(index, dtype == DType.FLOAT16 ? Half.toFloat16(value) : Half.toBfloat16(value));
    }

    /** Returns one element. */
    public static double get(Buffer buffer, DType dtype, int index) {
        if (buffer instanceof FloatBuffer floats) return floats.get(index);
        if (buffer instanceof DoubleBuffer doubles) return doubles.get(index);
        short bits = ((ShortBuffer) buffer).get(index);
        return dtype == DType.FLOAT16 ? Half.float16(bits) : Half.bfloat16(bits);
    }

    /** Copies all from one buffer to another of its kind. */
    public static void copy(Buffer from, Buffer to) {
        Buffer target = to.duplicate().clear();
        Buffer source = from.duplicate().clear();
        if (target instanceof FloatBuffer floats) floats.put((FloatBuffer) source);
        else if (target instanceof DoubleBuffer doubles) doubles.put((DoubleBuffer) source);
        else ((ShortBuffer) target).put((ShortBuffer) source);
    }
}
