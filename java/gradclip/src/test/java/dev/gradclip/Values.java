// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.cpu.Half;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

/** Elements of any type in any kind of memory, as tests make and compare them. */
final class Values {
    /** Elements of normal sequences that are kept: 32 MiB. */
    private static final long KEPT = 1 << 22;

    /** Normal sequences by seed, the latest last: tests ask for one again for each backend or rank. */
    private static final Map<Long, double[]> SEQUENCES = new LinkedHashMap<>(16, 0.75f, true);

    private Values() {}

    /** Kinds of memory that hold the same elements. */
    enum Memory {
        ARRAY,
        ARRAY_RANGE,
        DIRECT,
        UNALIGNED,
        HEAP_BYTES
    }

    /** Makes a buffer of values rounded to the type. */
    static HostBuffer buffer(DType dtype, double[] values, Memory memory) {
        int n = values.length;
        return switch (memory) {
            case ARRAY -> array(dtype, values, 0, 0);
            case ARRAY_RANGE -> array(dtype, values, 3, 5);
            case DIRECT -> bytes(dtype, values, ByteBuffer.allocateDirect(n * dtype.bytes()), 0);
            case UNALIGNED -> bytes(dtype, values, ByteBuffer.allocateDirect(n * dtype.bytes() + 7), 7);
            case HEAP_BYTES -> bytes(dtype, values, ByteBuffer.allocate(n * dtype.bytes() + 3), 3);
        };
    }

    static HostBuffer buffer(DType dtype, double... values) {
        return buffer(dtype, values, Memory.ARRAY);
    }

    private static HostBuffer array(DType dtype, double[] values, int before, int after) {
        int length = before + values.length + after;
        switch (dtype) {
            case FLOAT64 -> {
                double[] array = new double[length];
                System.arraycopy(values, 0, array, before, values.length);
                return HostBuffer.wrap(array, before, values.length);
            }
            case FLOAT32 -> {
                float[] array = new float[length];
                for (int i = 0; i < values.length; i++) array[before + i] = (float) values[i];
                return HostBuffer.wrap(array, before, values.length);
            }
            default -> {
                short[] array = new short[length];
                for (int i = 0; i < values.length; i++) array[before + i] = half(dtype, values[i]);
                return HostBuffer.wrap(array, before, values.length, dtype);
            }
        }
    }

    private static HostBuffer bytes(DType dtype, double[] values, ByteBuffer bytes, int offset) {
        bytes.order(ByteOrder.LITTLE_ENDIAN).position(offset);
        for (double value : values) {
            switch (dtype) {
                case FLOAT64 -> bytes.putDouble(value);
                case FLOAT32 -> bytes.putFloat((float) value);
                default -> bytes.putShort(half(dtype, value));
            }
        }
        bytes.position(offset).limit(offset + values.length * dtype.bytes());
        return HostBuffer.wrap(bytes, dtype);
    }

    static short half(DType dtype, double value) {
        return dtype == DType.FLOAT16 ? Half.floatToFloat16((float) value) : Half.floatToBfloat16((float) value);
    }

    /** Returns the elements, on whichever side they are, widened exactly. */
    static double[] read(HostBuffer buffer) {
        Placed.fetch(buffer);
        double[] values = new double[(int) buffer.length()];
        int at = 0;
        for (Buffer piece : buffer.memory()) {
            for (int i = 0; i < piece.limit(); i++) values[at++] = widen(buffer.dtype(), piece, i);
        }
        return values;
    }

    private static double widen(DType dtype, Buffer piece, int i) {
        return switch (dtype) {
            case FLOAT64 -> ((DoubleBuffer) piece).get(i);
            case FLOAT32 -> ((FloatBuffer) piece).get(i);
            case FLOAT16 -> Half.float16ToFloat(((ShortBuffer) piece).get(i));
            case BFLOAT16 -> Half.bfloat16ToFloat(((ShortBuffer) piece).get(i));
        };
    }

    /** Returns the bits of the elements, on whichever side they are. */
    static long[] bits(HostBuffer buffer) {
        Placed.fetch(buffer);
        long[] bits = new long[(int) buffer.length()];
        int at = 0;
        for (Buffer piece : buffer.memory()) {
            for (int i = 0; i < piece.limit(); i++) {
                bits[at++] = switch (buffer.dtype()) {
                    case FLOAT64 -> Double.doubleToRawLongBits(((DoubleBuffer) piece).get(i));
                    case FLOAT32 -> Float.floatToRawIntBits(((FloatBuffer) piece).get(i));
                    case FLOAT16, BFLOAT16 -> ((ShortBuffer) piece).get(i);
                };
            }
        }
        return bits;
    }

    /** Returns normally distributed values times a scale. */
    static double[] normal(long seed, int n, double scale) {
        double[] values = Arrays.copyOf(sequence(seed, n), n);
        for (int i = 0; i < n; i++) values[i] *= scale;
        return values;
    }

    private static double[] sequence(long seed, int n) {
        synchronized (SEQUENCES) {
            double[] known = SEQUENCES.get(seed);
            if (known != null && known.length >= n) return known;
            Random random = new Random(seed);
            double[] values = new double[n];
            for (int i = 0; i < n; i++) values[i] = random.nextGaussian();
            SEQUENCES.put(seed, values);
            forgetTheOldest();
            return values;
        }
    }

    private static void forgetTheOldest() {
        long elements = 0;
        for (double[] each : SEQUENCES.values()) elements += each.length;
        Iterator<double[]> oldest = SEQUENCES.values().iterator();
        while (elements > KEPT) {
            elements -= oldest.next().length;
            oldest.remove();
        }
    }

    static double[] constant(int n, double value) {
        double[] values = new double[n];
        Arrays.fill(values, value);
        return values;
    }
}
