// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.DType;
import dev.gradclip.internal.jni.NativeCpu;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.Tiles;
import java.nio.Buffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * The arithmetic of one tile in plain Java: the readable specification of what every backend computes. The loops over
 * lanes run over arrays without branches, so that the JIT compiles them to vector code.
 */
final class JavaTile {
    /** Tiles to reuse. A thread local would keep the class loader alive as long as the thread. */
    private static final AtomicReferenceArray<@Nullable JavaTile> SPARE = new AtomicReferenceArray<>(64);

    /** The least coefficient that rounds to an infinite float. */
    private static final double BEYOND_FLOAT = 0x1.ffffffp127;

    /** The canonical NaN of FLOAT32, which NVIDIA's float arithmetic makes. */
    private static final float FLOAT_NAN = Float.intBitsToFloat(0x7fffffff);

    private static final int MOST = 4096;
    private final short[] halves = new short[MOST];
    private final float[] floats = new float[MOST];
    private final double[] doubles = new double[MOST];
    private final float[] floatLanes = new float[256];
    private final double[] lanes = new double[256];

    private double partial;
    private @Nullable JavaUpdateTile updates;
    private @Nullable GatheredTile gathered;

    /** The scratch of updates, made when it is first needed. */
    JavaUpdateTile updates() {
        JavaUpdateTile made = updates;
        if (made == null) {
            made = new JavaUpdateTile(this);
            updates = made;
        }
        return made;
    }

    /** The scratch of units whose elements do not lie side by side, made when it is first needed. */
    GatheredTile gathered() {
        GatheredTile made = gathered;
        if (made == null) {
            made = new GatheredTile();
            gathered = made;
        }
        return made;
    }

    /** Returns a tile for the calling thread alone, until {@link #leave}; usually the same one each time. */
    static JavaTile take() {
        int first = first();
        for (int i = 0; i < SPARE.length(); i++) {
            JavaTile spare = SPARE.getAndSet((first + i) % SPARE.length(), null);
            if (spare != null) return spare;
        }
        return new JavaTile();
    }

    /** Returns this tile to the spare ones, or drops it if there are enough. */
    void leave() {
        int first = first();
        for (int i = 0; i < SPARE.length(); i++) {
            if (SPARE.compareAndSet((first + i) % SPARE.length(), null, this)) return;
        }
    }

    @SuppressWarnings("deprecation")
    private static int first() {
        return (int) (Thread.currentThread().getId() % SPARE.length());
    }

    /** The partial of the last {@link #measure}. */
    double partial() {
        return partial;
    }

    /**
     * Measures up to one tile of a piece into {@link #partial}.
     *
     * @return the plane of the partial: 0 middle, 1 low, 2 high
     */
    int measure(NormKind norm, double p, double max, Piece piece, long from, int n) {
        DType dtype = piece.dtype();
        int laneCount = Tiles.lanes(dtype);
        if (norm == NormKind.POWER) {
            powers(p, max, piece, from, n);
            partial = sum(NormKind.L1, doubles, 0, n, laneCount, 1);
            return 0;
        }
        if (dtype == DType.FLOAT64) {
            double[] x = doublesOf(piece, from, n);
            return measure64(norm, x, x == doubles ? 0 : start(piece, from), n);
        }
        float[] x = floatsOf(piece, from, n);
        int start = x == floats ? 0 : start(piece, from);
        partial = sum(norm, x, start, n, laneCount, 1);
        if (dtype == DType.FLOAT16 || norm == NormKind.INF) return 0;
        if (!(partial <= 0x1p120)) {
            partial = sum(norm, x, start, n, laneCount, 0x1p-70f) * (norm == NormKind.L2 ? 0x1p140 : 0x1p70);
        } else if (norm == NormKind.L2 && partial < 0x1p-80) {
            partial = sum(norm, x, start, n, laneCount, 0x1p100f) * 0x1p-200;
        }
        return 0;
    }

    private int measure64(NormKind norm, double[] x, int start, int n) {
        int laneCount = Tiles.lanes(DType.FLOAT64);
        partial = sum(norm, x, start, n, laneCount, 1);
        if (norm == NormKind.INF) return 0;
        if (!(partial <= 0x1p900)) {
            partial = sum(norm, x, start, n, laneCount, 0x1p-600);
            return 2;
        }
        if (norm == NormKind.L2 && partial < 0x1p-900) {
            partial = sum(norm, x, start, n, laneCount, 0x1p600);
            return partial == 0 ? 0 : 1;
        }
        return 0;
    }

    /** Sums float elements: the lanes in float, each product and sum rounded, then the tree in double. */
    private double sum(NormKind norm, float[] x, int start, int n, int laneCount, float scale) {
        float[] acc = floatLanes;
        for (int lane = 0; lane < laneCount; lane++) acc[lane] = 0;
        for (int stripe = 0; stripe < n; stripe += laneCount) {
            int width = Math.min(laneCount, n - stripe);
            int at = start + stripe;
            switch (norm) {
                case L1 -> {
                    for (int lane = 0; lane < width; lane++) acc[lane] += Math.abs(x[at + lane] * scale);
                }
                case L2 -> {
                    for (int lane = 0; lane < width; lane++) {
                        float v = x[at + lane] * scale;
                        acc[lane] += v * v;
                    }
                }
                case INF -> {
                    for (int lane = 0; lane < width; lane++) acc[lane] = Math.max(acc[lane], Math.abs(x[at + lane]));
                }
                default -> throw new IllegalArgumentException("no float sum for " + norm);
            }
        }
        for (int lane = 0; lane < laneCount; lane++) lanes[lane] = acc[lane];
        return norm == NormKind.INF ? largest(laneCount) : tree(laneCount);
    }

    private double sum(NormKind norm, double[] x, int start, int n, int laneCount, double scale) {
        double[] acc = lanes;
        for (int lane = 0; lane < laneCount; lane++) acc[lane] = 0;
        for (int stripe = 0; stripe < n; stripe += laneCount) {
            int width = Math.min(laneCount, n - stripe);
            int at = start + stripe;
            switch (norm) {
                case L1 -> {
                    for (int lane = 0; lane < width; lane++) acc[lane] += Math.abs(x[at + lane] * scale);
                }
                case L2 -> {
                    for (int lane = 0; lane < width; lane++) {
                        double v = x[at + lane] * scale;
                        acc[lane] += v * v;
                    }
                }
                case INF -> {
                    for (int lane = 0; lane < width; lane++) acc[lane] = Math.max(acc[lane], Math.abs(x[at + lane]));
                }
                default -> throw new IllegalArgumentException("no double sum for " + norm);
            }
        }
        return norm == NormKind.INF ? largest(laneCount) : tree(laneCount);
    }

    /** Adds up the lanes: neighbours within a vector first, then threads t and t xor 16, 8, 4, 2, 1. */
    private double tree(int laneCount) {
        int count = laneCount;
        while (count > Tiles.THREADS) {
            count /= 2;
            for (int i = 0; i < count; i++) lanes[i] = lanes[2 * i] + lanes[2 * i + 1];
        }
        for (int offset = Tiles.THREADS / 2; offset >= 1; offset /= 2) {
            for (int t = 0; t < offset; t++) lanes[t] += lanes[t + offset];
        }
        return lanes[0];
    }

    private double largest(int laneCount) {
        double max = 0;
        for (int lane = 0; lane < laneCount; lane++) max = Math.max(max, lanes[lane]);
        return max;
    }

    private void powers(double p, double max, Piece piece, long from, int n) {
        if (piece.dtype() == DType.FLOAT64) {
            double[] x = doublesOf(piece, from, n);
            System.arraycopy(x, x == doubles ? 0 : start(piece, from), doubles, 0, n);
        } else {
            loadFloats(piece, from, n);
            for (int i = 0; i < n; i++) doubles[i] = floats[i];
        }
        for (int i = 0; i < n; i++) doubles[i] = max == 0 ? 0 : Math.pow(Math.abs(doubles[i]) / max, p);
    }

    /**
     * Rounds {@code x * coefficient} into each element; see docs/reduction.md for coefficients below 2^-100 and beyond
     * the largest float.
     */
    void scale(double coefficient, Piece piece, long from, int n) {
        if (piece.dtype() == DType.FLOAT64) {
            if (coefficient == 1) return;
            double[] x = doublesOf(piece, from, n);
            scale(x, x == doubles ? 0 : start(piece, from), n, coefficient);
            if (x == doubles) storeDoubles(piece, from, n);
            return;
        }
        if ((float) coefficient == 1) return;
        float[] x = floatsOf(piece, from, n);
        scale(x, x == floats ? 0 : start(piece, from), n, coefficient);
        if (x == floats) storeFloats(piece, from, n);
    }

    private static void scale(double[] x, int start, int n, double coefficient) {
        for (int i = start; i < start + n; i++) {
            double y = x[i] * coefficient;
            x[i] = Double.isNaN(y) ? Double.NaN : y;
        }
    }

    private static void scale(float[] x, int start, int n, double coefficient) {
        if (coefficient < 0x1p-100 || coefficient >= BEYOND_FLOAT) {
            for (int i = start; i < start + n; i++) {
                float y = (float) (x[i] * coefficient);
                x[i] = Float.isNaN(y) ? FLOAT_NAN : y;
            }
            return;
        }
        float c = (float) coefficient;
        for (int i = start; i < start + n; i++) {
            float y = x[i] * c;
            x[i] = Float.isNaN(y) ? FLOAT_NAN : y;
        }
    }

    /**
     * Clamps to [min, max]; returns how many elements changed, and writes only these. A finite limit beyond the type's
     * largest number is lowered to that number. NaN stays.
     */
    long clamp(double min, double max, Piece piece, long from, int n) {
        long changed = 0;
        if (piece.dtype() == DType.FLOAT64) {
            double[] x = doublesOf(piece, from, n);
            int start = x == doubles ? 0 : start(piece, from);
            for (int i = 0; i < n; i++) {
                double v = x[start + i];
                if (v > max) changed += store(piece, from + i, max);
                else if (v < min) changed += store(piece, from + i, min);
            }
            return changed;
        }
        float low = limit(piece.dtype(), min);
        float high = limit(piece.dtype(), max);
        float[] x = floatsOf(piece, from, n);
        int start = x == floats ? 0 : start(piece, from);
        for (int i = 0; i < n; i++) {
            float v = x[start + i];
            if (v > high) changed += store(piece, from + i, high);
            else if (v < low) changed += store(piece, from + i, low);
        }
        return changed;
    }

    private static float limit(DType dtype, double limit) {
        float largest = largest(dtype);
        if (limit > largest && limit <= Double.MAX_VALUE) return largest;
        if (limit < -largest && limit >= -Double.MAX_VALUE) return -largest;
        return (float) limit;
    }

    private static float largest(DType dtype) {
        return switch (dtype) {
            case FLOAT16 -> 65504;
            case BFLOAT16 -> 0x1.fep127f;
            case FLOAT32, FLOAT64 -> Float.MAX_VALUE;
        };
    }

    /** Sets NaN and infinities to +0; returns how many elements changed, and writes only these. */
    long zeroNonFinite(Piece piece, long from, int n) {
        long changed = 0;
        if (piece.dtype() == DType.FLOAT64) {
            double[] x = doublesOf(piece, from, n);
            int start = x == doubles ? 0 : start(piece, from);
            for (int i = 0; i < n; i++) if (!Double.isFinite(x[start + i])) changed += store(piece, from + i, 0.0);
            return changed;
        }
        float[] x = floatsOf(piece, from, n);
        int start = x == floats ? 0 : start(piece, from);
        for (int i = 0; i < n; i++) if (!Float.isFinite(x[start + i])) changed += store(piece, from + i, 0f);
        return changed;
    }

    /** The scratch of floats. */
    float[] floats() {
        return floats;
    }

    /** The scratch of doubles. */
    double[] doubles() {
        return doubles;
    }

    /** The index of an element in the array that {@link #floatsOf} or {@link #doublesOf} gave. */
    int startOf(Object array, Piece piece, long from) {
        return array == floats || array == doubles ? 0 : start(piece, from);
    }

    /** Sets elements to +0. */
    void zero(Piece piece, long from, int n) {
        if (piece.dtype() == DType.FLOAT64) {
            Arrays.fill(doubles, 0, n, 0);
            if (piece.array() instanceof double[] array)
                Arrays.fill(array, start(piece, from), start(piece, from) + n, 0);
            else storeDoubles(piece, from, n);
            return;
        }
        Arrays.fill(floats, 0, n, 0);
        if (piece.array() instanceof float[] array) Arrays.fill(array, start(piece, from), start(piece, from) + n, 0);
        else storeFloats(piece, from, n);
    }

    /** Returns the index of an element in the piece's array. */
    private static int start(Piece piece, long from) {
        return (int) (piece.arrayOffset() / piece.dtype().bytes() + from);
    }

    /** Returns the piece's array, or {@link #floats} with the elements loaded; they begin at {@link #start} or at 0. */
    float[] floatsOf(Piece piece, long from, int n) {
        return piece.array() instanceof float[] array ? array : loadFloats(piece, from, n);
    }

    double[] doublesOf(Piece piece, long from, int n) {
        return piece.array() instanceof double[] array ? array : loadDoubles(piece, from, n);
    }

    private double[] loadDoubles(Piece piece, long from, int n) {
        ((DoubleBuffer) view(piece, from, n)).get(index(piece, from), doubles, 0, n);
        return doubles;
    }

    void storeDoubles(Piece piece, long from, int n) {
        ((DoubleBuffer) view(piece, from, n)).put(index(piece, from), doubles, 0, n);
    }

    private float[] loadFloats(Piece piece, long from, int n) {
        if (piece.dtype() == DType.FLOAT32) {
            if (piece.array() instanceof float[] array) System.arraycopy(array, start(piece, from), floats, 0, n);
            else ((FloatBuffer) view(piece, from, n)).get(index(piece, from), floats, 0, n);
            return floats;
        }
        if (piece.array() instanceof short[] array) System.arraycopy(array, start(piece, from), halves, 0, n);
        else ((ShortBuffer) view(piece, from, n)).get(index(piece, from), halves, 0, n);
        if (piece.dtype() == DType.FLOAT16) {
            Float16Arrays.toFloats(halves, floats, n);
        } else {
            for (int i = 0; i < n; i++) floats[i] = Half.bfloat16ToFloat(halves[i]);
        }
        return floats;
    }

    void storeFloats(Piece piece, long from, int n) {
        if (piece.dtype() == DType.FLOAT32) {
            ((FloatBuffer) view(piece, from, n)).put(index(piece, from), floats, 0, n);
            return;
        }
        if (piece.dtype() == DType.FLOAT16) {
            Float16Arrays.toHalves(floats, halves, n);
        } else {
            for (int i = 0; i < n; i++) halves[i] = Half.floatToBfloat16(floats[i]);
        }
        if (piece.array() instanceof short[] array) System.arraycopy(halves, 0, array, start(piece, from), n);
        else ((ShortBuffer) view(piece, from, n)).put(index(piece, from), halves, 0, n);
    }

    /** Writes one element; returns 0 if it had the same bits before, else 1. */
    private static int store(Piece piece, long at, double value) {
        if (piece.array() instanceof double[] array) array[start(piece, at)] = value;
        else ((DoubleBuffer) view(piece, at, 1)).put(index(piece, at), value);
        return 1;
    }

    private static int store(Piece piece, long at, float value) {
        if (piece.array() instanceof float[] array) {
            array[start(piece, at)] = value;
            return 1;
        }
        if (piece.dtype() == DType.FLOAT32) {
            ((FloatBuffer) view(piece, at, 1)).put(index(piece, at), value);
            return 1;
        }
        short bits = half(piece.dtype(), value);
        if (piece.array() instanceof short[] array) {
            if (array[start(piece, at)] == bits) return 0;
            array[start(piece, at)] = bits;
            return 1;
        }
        ShortBuffer shorts = (ShortBuffer) view(piece, at, 1);
        if (shorts.get(index(piece, at)) == bits) return 0;
        shorts.put(index(piece, at), bits);
        return 1;
    }

    private static short half(DType dtype, float value) {
        return dtype == DType.FLOAT16 ? Half.floatToFloat16(value) : Half.floatToBfloat16(value);
    }

    /** Returns the piece's view; for a piece at an address, a view of these elements alone. */
    private static Buffer view(Piece piece, long from, int n) {
        if (piece.view() != null) return piece.view();
        int size = piece.dtype().bytes();
        return Piece.typed(
                piece.dtype(),
                NativeCpu.view(piece.address() + from * size, (long) n * size).order(ByteOrder.LITTLE_ENDIAN));
    }

    private static int index(Piece piece, long from) {
        return piece.view() == null ? 0 : (int) from;
    }
}
