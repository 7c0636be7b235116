// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.DType;
import dev.gradclip.internal.jni.NativeCpu;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.memory.Strided;
import java.nio.Buffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;

/**
 * A tile of a unit whose elements do not lie side by side: they are copied into an array, worked on there, and those
 * that changed are copied back. So the arithmetic has one form, that of {@link JavaTile}.
 */
final class GatheredTile {
    private static final int MOST = 4096;

    private final double[] doubles = new double[MOST / 4];
    private final float[] floats = new float[MOST / 2];
    private final short[] halves = new short[MOST];
    private final Piece[] pieces = {
        Piece.ofArray(DType.FLOAT64, doubles, 0, doubles.length),
        Piece.ofArray(DType.FLOAT32, floats, 0, floats.length),
        Piece.ofArray(DType.FLOAT16, halves, 0, halves.length),
        Piece.ofArray(DType.BFLOAT16, halves, 0, halves.length)
    };

    /** A view of elements of the piece, from {@link #first} on. */
    private Buffer view = FloatBuffer.allocate(0);

    private long first;

    /** Returns a piece that begins with copies of {@code n} elements from {@code from} on. */
    Piece gather(Piece piece, Strided strided, long from, int n) {
        look(piece, strided, strided.index(from));
        for (int i = 0; i < n; i++) {
            int at = place(piece, strided, from + i);
            switch (piece.dtype()) {
                case FLOAT64 -> doubles[i] = ((DoubleBuffer) view).get(at);
                case FLOAT32 -> floats[i] = ((FloatBuffer) view).get(at);
                case FLOAT16, BFLOAT16 -> halves[i] = ((ShortBuffer) view).get(at);
            }
        }
        return pieces[piece.dtype().ordinal()];
    }

    /** Copies those elements back whose bits changed. */
    void scatter(Piece piece, Strided strided, long from, int n) {
        look(piece, strided, strided.index(from));
        for (int i = 0; i < n; i++) {
            int at = place(piece, strided, from + i);
            switch (piece.dtype()) {
                case FLOAT64 -> store((DoubleBuffer) view, at, doubles[i]);
                case FLOAT32 -> store((FloatBuffer) view, at, floats[i]);
                case FLOAT16, BFLOAT16 -> store((ShortBuffer) view, at, halves[i]);
            }
        }
    }

    private static void store(DoubleBuffer to, int at, double value) {
        if (Double.doubleToRawLongBits(to.get(at)) != Double.doubleToRawLongBits(value)) to.put(at, value);
    }

    private static void store(FloatBuffer to, int at, float value) {
        if (Float.floatToRawIntBits(to.get(at)) != Float.floatToRawIntBits(value)) to.put(at, value);
    }

    private static void store(ShortBuffer to, int at, short value) {
        if (to.get(at) != value) to.put(at, value);
    }

    /** Returns an element's place in {@link #view}. */
    private int place(Piece piece, Strided strided, long element) {
        long index = strided.index(element);
        if (index - first >= view.limit()) look(piece, strided, index);
        return (int) (index - first);
    }

    /** Makes a view that begins with an element; one of a piece at an address ends after 1 GiB at most. */
    private void look(Piece piece, Strided strided, long index) {
        Buffer whole = piece.view();
        first = whole == null ? index : 0;
        view = whole == null ? viewFrom(piece, strided, index) : whole;
    }

    private static Buffer viewFrom(Piece piece, Strided strided, long index) {
        int size = piece.dtype().bytes();
        long bytes = Math.min((strided.span(piece.length()) - index) * size, 1 << 30);
        return Piece.typed(
                piece.dtype(),
                NativeCpu.view(piece.address() + index * size, bytes).order(ByteOrder.LITTLE_ENDIAN));
    }
}
