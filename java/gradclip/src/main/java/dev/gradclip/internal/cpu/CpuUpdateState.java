// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.DType;
import dev.gradclip.internal.jni.NativeCpu;
import dev.gradclip.internal.update.StateForm;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * The state that an update keeps for the weights of one plan, in host memory outside the heap, zeroed at first. Each
 * gradient piece has its elements in chunks of 1 GiB, for a Java buffer holds no more; no tile lies across two.
 */
public final class CpuUpdateState {
    /** The power of 2 that a chunk's bytes are; the same stands in cuda/jni/NativeCpuJni.cpp. */
    static final int CHUNK_SHIFT = 30;

    private static final ByteBuffer NONE = direct(0);

    private final StateForm form;
    private final DType[] weights;
    private final int[] firstChunk;
    private final ByteBuffer[] chunks;

    /** The chunks as floats or doubles. */
    private final Buffer[] views;

    /** The addresses of the chunks, slot after slot, for native code; 0 for master weights that are not there. */
    final ByteBuffer addresses;

    /** The number of a piece's first chunk, for native code. */
    final ByteBuffer firstChunks;

    final int chunksOfSlot;

    /** State for gradient pieces of these lengths, whose weights are of these types. */
    CpuUpdateState(StateForm form, long[] lengths, DType[] weights, boolean addressed) {
        this.form = form;
        this.weights = weights.clone();
        firstChunk = new int[lengths.length + 1];
        for (int i = 0; i < lengths.length; i++) {
            long bytes = lengths[i] * dtype(i).bytes();
            firstChunk[i + 1] =
                    Math.addExact(firstChunk[i], Math.toIntExact((bytes + (1L << CHUNK_SHIFT) - 1) >> CHUNK_SHIFT));
        }
        chunksOfSlot = firstChunk[lengths.length];
        chunks = new ByteBuffer[Math.multiplyExact(form.masterSlot() + 1, chunksOfSlot)];
        Arrays.fill(chunks, NONE);
        views = new Buffer[chunks.length];
        Arrays.fill(views, NONE);
        addresses = direct(8L * chunks.length);
        firstChunks = direct(4L * lengths.length);
        for (int i = 0; i < lengths.length; i++) {
            firstChunks.putInt(4 * i, firstChunk[i]);
            long left = lengths[i] * dtype(i).bytes();
            for (int c = firstChunk[i]; c < firstChunk[i + 1]; c++) {
                int bytes = (int) Math.min(left, 1L << CHUNK_SHIFT);
                for (int slot = 0; slot < form.slots(weights[i]); slot++) {
                    int at = slot * chunksOfSlot + c;
                    chunks[at] = direct(bytes);
                    views[at] = dtype(i) == DType.FLOAT64 ? chunks[at].asDoubleBuffer() : chunks[at].asFloatBuffer();
                    if (addressed) addresses.putLong(8 * at, NativeCpu.address(chunks[at]));
                }
                left -= bytes;
            }
        }
    }

    private static ByteBuffer direct(long bytes) {
        return ByteBuffer.allocateDirect(Math.toIntExact(bytes)).order(ByteOrder.nativeOrder());
    }

    /** The form of the state. */
    public StateForm form() {
        return form;
    }

    /** The type of a piece's state. */
    private DType dtype(int piece) {
        return weights[piece] == DType.FLOAT64 ? DType.FLOAT64 : DType.FLOAT32;
    }

    /** True if a piece has master weights. */
    boolean hasMaster(int piece) {
        return form.hasMaster(weights[piece]);
    }

    /** The number of chunks of a piece. */
    public int chunks(int piece) {
        return firstChunk[piece + 1] - firstChunk[piece];
    }

    /** The bytes of one of a piece's chunks, from 0 on. */
    public ByteBuffer chunk(int slot, int piece, int chunk) {
        return chunks[slot * chunksOfSlot + firstChunk[piece] + chunk]
                .duplicate()
                .order(ByteOrder.nativeOrder())
                .clear();
    }

    void load(int slot, int piece, long from, float[] to, int n) {
        floats(slot, piece, from).get(index(4 * from) / 4, to, 0, n);
    }

    void store(int slot, int piece, long from, float[] of, int n) {
        floats(slot, piece, from).put(index(4 * from) / 4, of, 0, n);
    }

    void load(int slot, int piece, long from, double[] to, int n) {
        doubles(slot, piece, from).get(index(8 * from) / 8, to, 0, n);
    }

    void store(int slot, int piece, long from, double[] of, int n) {
        doubles(slot, piece, from).put(index(8 * from) / 8, of, 0, n);
    }

    private FloatBuffer floats(int slot, int piece, long from) {
        return (FloatBuffer) views[slot * chunksOfSlot + firstChunk[piece] + (int) ((4 * from) >> CHUNK_SHIFT)];
    }

    private DoubleBuffer doubles(int slot, int piece, long from) {
        return (DoubleBuffer) views[slot * chunksOfSlot + firstChunk[piece] + (int) ((8 * from) >> CHUNK_SHIFT)];
    }

    private static int index(long bytes) {
        return (int) (bytes & ((1L << CHUNK_SHIFT) - 1));
    }
}
