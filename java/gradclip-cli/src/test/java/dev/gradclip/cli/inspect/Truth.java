// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

import dev.gradclip.measure.Half;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Works out element by element the values that clipping must write, to be checked by eye. */
public final class Truth {
    private Truth() {}

    /** {@code round(x * coefficient)} in the dtype, for every element of a tensor. */
    public static byte[] scaled(String dtype, byte[] raw, double coefficient) {
        if (!dtype.equals("F64") && (float) coefficient == 1) return raw;
        return map(dtype, raw, x -> {
            if (dtype.equals("F64")) return x * coefficient;
            // Below 2^-100 the coefficient keeps the digits that a float would lose. Else the product of two floats
            // is exact in double, so that this rounds once.
            return coefficient < 0x1p-100 ? (float) (x * coefficient) : (float) (x * (float) coefficient);
        });
    }

    /** Every element of a tensor clamped to [-limit, limit]. */
    public static byte[] clamped(String dtype, byte[] raw, double limit) {
        double l = dtype.equals("F64") ? limit : (float) limit;
        return map(dtype, raw, x -> x > l ? l : x < -l ? -l : x);
    }

    private interface Change {
        double of(double x);
    }

    private static byte[] map(String dtype, byte[] raw, Change change) {
        ByteBuffer in = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN);
        ByteBuffer out = ByteBuffer.allocate(raw.length).order(ByteOrder.LITTLE_ENDIAN);
        while (in.hasRemaining()) {
            switch (dtype) {
                case "F64" -> out.putDouble(change.of(in.getDouble()));
                case "F32" -> out.putFloat((float) change.of(in.getFloat()));
                case "F16" -> out.putShort(float16(change.of(Half.float16(in.getShort()))));
                case "BF16" -> out.putShort(bfloat16((float) change.of(Half.bfloat16(in.getShort()))));
                default -> throw new AssertionError(dtype);
            }
        }
        return out.array();
    }

    static short bfloat16(float x) {
        int bits = Float.floatToRawIntBits(x);
        return (short) ((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }

    static short float16(double x) {
        int sign = Double.doubleToRawLongBits(x) < 0 ? 0x8000 : 0;
        double magnitude = Math.abs(x);
        double unit = Math.scalb(1.0, Math.max(Math.getExponent(magnitude), -14) - 10);
        double rounded = Math.rint(magnitude / unit) * unit;
        if (rounded > 65504) return (short) (sign | 0x7c00);
        if (rounded < 0x1p-14) return (short) (sign | (int) (rounded * 0x1p24));
        int exponent = Math.getExponent(rounded);
        int fraction = (int) Math.scalb(rounded, 10 - exponent) - 1024;
        return (short) (sign | (exponent + 15) << 10 | fraction);
    }
}
