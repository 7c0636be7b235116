// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.DType;
import dev.gradclip.NormType;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.reduce.Cut;
import dev.gradclip.internal.reduce.Fold;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.ScaledNorm;
import dev.gradclip.internal.reduce.SegmentSums;
import dev.gradclip.internal.reduce.TensorSums;
import dev.gradclip.internal.threads.ChunkQueue;
import dev.gradclip.internal.threads.Workers;
import dev.gradclip.internal.update.StateForm;
import dev.gradclip.internal.update.UpdateTable;
import java.lang.ref.Reference;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * A set of segments bound on the CPU, and the phases of work on them: measure, total, apply.
 *
 * <p>The segments are cut into tiles of 8 KiB. A phase hands its tiles in chunks to {@link Workers}, and {@link
 * Kernels} does the work on the elements. Measuring writes one partial for each tile; {@link Fold} then adds up the
 * partials of each segment in a fixed order. So the bits of a norm do not depend on the thread that measured a tile,
 * nor on the number of threads or chunks.
 *
 * <p>A FLOAT64 tile whose sum leaves [2^-900, 2^900] is summed again with scaled elements, and its partial goes to the
 * low or the high plane instead of the middle one. A POWER norm is measured in two passes, of which the first finds the
 * maximum of each segment. One thread at a time may call a plan.
 */
public final class CpuPlan {
    /** 512 KiB: long enough to hide the cost of claiming a chunk, short enough for a critical section on an array. */
    private static final int MOST_TILES_A_CHUNK = 64;

    /** 128 KiB, which a core's second cache holds between measuring and scaling. */
    private static final int TILES_IN_CACHE = 16;

    /**
     * Below this many bytes, waking a helper costs more time than it saves: clipping 256 KiB takes 18 µs alone and 21
     * in two threads, 1 MiB 60 and 50.
     */
    private static final long ALONE_BYTES = 512 << 10;

    /**
     * Enough chunks for threads of unequal speed to end together. Finding a chunk's first piece and calling native code
     * costs 0.1 to 0.2 µs: clipping 250 tensors of 4 KiB took one thread 74 µs in 36 chunks, 61 in 4.
     */
    private static final long CHUNKS_A_THREAD = 16;

    /** The work of one phase on each tile. */
    enum Phase {
        MEASURE,
        MEASURE_AND_SCALE,
        SCALE,
        CLAMP,
        ZERO_NON_FINITE,
        UPDATE
    }

    private final CpuPlanMemory memory;
    private final Kernels kernels;
    private final Workers workers;
    private final ChunkQueue queue = new ChunkQueue(new ChunkQueue.Work() {
        @Override
        public void run(long chunk) {
            runChunk(chunk);
        }
    });
    private final int[] firstPiece;
    private final boolean[] absent;
    private final SegmentSums sums;
    private final Fold fold = new Fold();

    private Phase phase = Phase.MEASURE;
    private NormKind kind = NormKind.L2;
    private double p;
    private double min;
    private double max;
    private @Nullable UpdateTable updateTable;
    private @Nullable CpuUpdateState updateState;
    private int firstWeights;
    private long phaseFirstTile;
    private long phaseLastTile;
    private long chunkTiles;
    private final AtomicInteger planes = new AtomicInteger();
    private final AtomicLong changed = new AtomicLong();

    private CpuPlan(CpuPlanMemory memory, Kernels kernels, Workers workers) {
        this.memory = memory;
        this.kernels = kernels;
        this.workers = workers;
        firstPiece = new int[memory.segments + 1];
        for (int segment : memory.segmentOf) firstPiece[segment + 1]++;
        for (int i = 0; i < memory.segments; i++) firstPiece[i + 1] += firstPiece[i];
        absent = new boolean[memory.segments];
        sums = new SegmentSums(memory.segments);
    }

    /** Makes a plan that plain Java runs. */
    public static CpuPlan java(List<List<Piece>> segments, Workers workers) {
        CpuPlanMemory memory = new CpuPlanMemory(segments, false);
        return new CpuPlan(memory, new JavaKernels(memory), workers);
    }

    /** Makes a plan that native code of one SIMD level runs. */
    public static CpuPlan nativeCpu(List<List<Piece>> segments, Workers workers, int level) {
        CpuPlanMemory memory = new CpuPlanMemory(segments, true);
        return new CpuPlan(memory, new NativeKernels(memory, level), workers);
    }

    /** Binds a piece of a segment to other memory of the same type and length, or to none. */
    public void rebind(int segment, int piece, Piece memoryOfPiece) {
        int index = firstPiece[segment] + piece;
        if (memory.pieces[index].sameMemory(memoryOfPiece)) return;
        memory.set(index, memoryOfPiece);
        boolean hasTiles = memory.firstTile[index + 1] > memory.firstTile[index];
        if (hasTiles) absent[segment] = memoryOfPiece.length() == 0;
    }

    /** Binds a segment of one piece to elements at an address. */
    public void rebindAddress(int segment, DType dtype, long address, long length) {
        int index = firstPiece[segment];
        memory.setAddress(index, dtype, address, length);
        if (memory.firstTile[index + 1] > memory.firstTile[index]) absent[segment] = false;
    }

    /** The memory of a piece of a segment; unspecified if that was bound by {@link #rebindAddress}. */
    public Piece piece(int segment, int piece) {
        return memory.pieces[firstPiece[segment] + piece];
    }

    /** Measures the segments {@code [from, to)}; {@link #total} reads the sums. */
    public void measure(NormType type, int from, int to) {
        kind = NormKind.of(type);
        if (kind == NormKind.POWER) {
            kind = NormKind.INF;
            runMeasure(from, to);
            for (int i = from; i < to; i++) {
                sums.maximum[i] = sums.middle[i];
                memory.maxima.put(i, sums.middle[i]);
            }
            kind = NormKind.POWER;
            p = type.p();
        }
        runMeasure(from, to);
    }

    /** Measures the segments {@code [from, to)}, and multiplies each by its coefficient on the way; not for p-norms. */
    public void measureAndScale(NormType type, int from, int to) {
        kind = NormKind.of(type);
        runMeasure(Phase.MEASURE_AND_SCALE, from, to);
    }

    private void runMeasure(int from, int to) {
        runMeasure(Phase.MEASURE, from, to);
    }

    private void runMeasure(Phase measuring, int from, int to) {
        planes.set(0);
        run(measuring, from, to, false);
        int used = planes.get();
        for (int i = from; i < to; i++) {
            sums.middle[i] = foldSegment(i, 0);
            sums.low[i] = (used & 1) != 0 ? foldSegment(i, 1) : 0;
            sums.high[i] = (used & 2) != 0 ? foldSegment(i, 2) : 0;
        }
    }

    private double foldSegment(int segment, int plane) {
        if (absent[segment]) return 0;
        int offset = (int) (plane * memory.planeStride);
        int first = (int) memory.firstTile[firstPiece[segment]] + offset;
        int last = (int) memory.firstTile[firstPiece[segment + 1]] + offset;
        if (last - first == 1) return memory.partials.get(first);
        if (kind == NormKind.INF) {
            double largest = 0;
            for (int i = first; i < last; i++) largest = Math.max(largest, memory.partials.get(i));
            return largest;
        }
        return fold.sum(memory.partials, first, last);
    }

    /** Writes the norm over the segments {@code [from, to)}, which must be measured, to {@code norm}. */
    public void total(NormType type, int from, int to, ScaledNorm norm) {
        sums.total(type, from, to, norm);
    }

    /** Writes the norm over every {@code step}-th of the segments {@code [from, to)} to {@code norm}. */
    public void total(NormType type, int from, int to, int step, ScaledNorm norm) {
        sums.total(type, from, to, step, norm);
    }

    /** Adds the partials of the last {@link #measure} to the sums of a tensor. */
    public void drain(TensorSums to) {
        to.addPartials(memory.partials, (int) memory.tiles, memory.planeStride > 0 ? 3 : 1);
    }

    /** Writes what the last {@link #measure} found of a segment that is a part of a longer one. */
    public void cut(int segment, Cut cut, SegmentSums to, int at) {
        if (absent[segment]) return;
        int first = (int) memory.firstTile[firstPiece[segment]];
        int stride = (int) memory.planeStride;
        int used = planes.get();
        cut.write(memory.partials, first, fold, to.middle, at);
        if ((used & 1) != 0) cut.write(memory.partials, first + stride, fold, to.low, at);
        if ((used & 2) != 0) cut.write(memory.partials, first + 2 * stride, fold, to.high, at);
    }

    /** The sums of the last {@link #measure}. */
    public SegmentSums sums() {
        return sums;
    }

    /** The coefficient that {@link #scale} multiplies a segment by. */
    public void setCoefficient(int segment, double coefficient) {
        memory.coefficients.put(segment, coefficient);
    }

    /** Multiplies the segments {@code [from, to)}, each by its coefficient. */
    public void scale(int from, int to) {
        // Backwards, because the tiles measured last are still in the caches.
        run(Phase.SCALE, from, to, true);
    }

    /** Clamps the segments {@code [from, to)}; returns how many elements changed. */
    public long clamp(int from, int to, double minimum, double maximum) {
        min = minimum;
        max = maximum;
        return runCounting(Phase.CLAMP, from, to);
    }

    /** Sets NaN and infinities of the segments {@code [from, to)} to 0; returns how many elements changed. */
    public long zeroNonFinite(int from, int to) {
        return runCounting(Phase.ZERO_NON_FINITE, from, to);
    }

    /** The index of a segment's first piece; of one past the last, the number of pieces. */
    public int firstPiece(int segment) {
        return firstPiece[segment];
    }

    /**
     * State for updates of the weights in the segments {@code [gradients, 2 · gradients)}, which have the pieces of the
     * gradients before them.
     */
    public CpuUpdateState updateState(StateForm form, int gradients) {
        int pieces = firstPiece[gradients];
        long[] lengths = new long[pieces];
        DType[] weights = new DType[pieces];
        for (int i = 0; i < pieces; i++) {
            lengths[i] = memory.lengths[i];
            weights[i] = memory.dtypes[pieces + i];
        }
        return new CpuUpdateState(form, lengths, weights, memory.addressed);
    }

    /**
     * Updates the weights of the gradient segments {@code [0, gradients)}; absent gradients leave theirs.
     *
     * @return the number of gradients that a limit changed
     */
    public long update(UpdateTable table, CpuUpdateState state, int gradients) {
        updateTable = table;
        updateState = state;
        firstWeights = firstPiece[gradients];
        changed.set(0);
        // Backwards: what was measured last is still in the caches.
        run(Phase.UPDATE, 0, gradients, true);
        return changed.get();
    }

    private long update(long first, long last) {
        UpdateTable table = updateTable;
        CpuUpdateState state = updateState;
        if (table == null || state == null) throw new IllegalStateException("no update is under way");
        return kernels.update(table, state, firstWeights, first, last);
    }

    private long runCounting(Phase counting, int from, int to) {
        changed.set(0);
        run(counting, from, to, false);
        return changed.get();
    }

    private void run(Phase newPhase, int from, int to, boolean backwards) {
        phase = newPhase;
        phaseFirstTile = memory.firstTile[firstPiece[from]];
        phaseLastTile = memory.firstTile[firstPiece[to]];
        long tiles = phaseLastTile - phaseFirstTile;
        if (tiles == 0) return;
        boolean alone =
                workers.threads() == 1 || memory.cost[firstPiece[to]] - memory.cost[firstPiece[from]] < ALONE_BYTES;
        long fewest = alone ? 1 : workers.threads() * CHUNKS_A_THREAD;
        chunkTiles = Math.min(MOST_TILES_A_CHUNK, Math.max(1, tiles / fewest));
        long chunks = (tiles + chunkTiles - 1) / chunkTiles;
        try {
            if (alone) {
                for (long i = 0; i < chunks; i++) runChunk(backwards ? chunks - 1 - i : i);
            } else {
                workers.run(queue, chunks, backwards);
            }
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    private void measureChunk(long first, long last) {
        int used = kernels.measure(kind, p, first, last);
        if (used != 0) planes.accumulateAndGet(used, (a, b) -> a | b);
    }

    private void runChunk(long chunk) {
        long first = phaseFirstTile + chunk * chunkTiles;
        long last = Math.min(phaseLastTile, first + chunkTiles);
        switch (phase) {
            case MEASURE -> measureChunk(first, last);
            case MEASURE_AND_SCALE -> {
                for (long next = first; next < last; next += TILES_IN_CACHE) {
                    long end = Math.min(last, next + TILES_IN_CACHE);
                    measureChunk(next, end);
                    kernels.scale(next, end);
                }
            }
            case SCALE -> kernels.scale(first, last);
            case CLAMP -> changed.addAndGet(kernels.clamp(min, max, first, last));
            case ZERO_NON_FINITE -> changed.addAndGet(kernels.zeroNonFinite(first, last));
            case UPDATE -> changed.addAndGet(update(first, last));
        }
    }
}
