// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.DType;
import dev.gradclip.NormType;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.reduce.Fold;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.ScaledNorm;
import dev.gradclip.internal.reduce.SegmentSums;
import dev.gradclip.internal.reduce.TensorSums;
import dev.gradclip.internal.threads.ChunkQueue;
import dev.gradclip.internal.threads.Workers;
import java.lang.ref.Reference;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A set of segments (tensors) bound on the CPU, and the phases over them: measure, total, apply. Splits tiles into
 * chunks for a {@link Workers}; which thread does which chunk never shows in the bits, for every tile has its own
 * partial. One caller at a time.
 */
public final class CpuPlan {
    /**
     * 512 KiB: long enough to hide what claiming a chunk costs, short enough for a critical section on a heap array.
     */
    private static final int MOST_TILES_A_CHUNK = 64;

    /**
     * Below this many bytes, waking a helper costs more than it brings: to clip 256 KiB takes 18 µs alone and 21 in two
     * threads, 1 MiB 60 and 50.
     */
    private static final long ALONE_BYTES = 512 << 10;

    /**
     * Enough for threads of unequal speed to end together. Finding a chunk's first piece and calling native code costs
     * 0.1 to 0.2 µs: to clip 250 tensors of 4 KiB took one thread 74 µs in 36 chunks, 61 in 4.
     */
    private static final long CHUNKS_A_THREAD = 16;

    private enum Phase {
        MEASURE,
        SCALE,
        CLAMP,
        ZERO_NON_FINITE
    }

    private final CpuPlanMemory memory;
    private final Kernels kernels;
    private final Workers team;
    private final ChunkQueue job = new ChunkQueue(this::runChunk);
    private final int[] firstPiece;
    private final boolean[] absent;
    private final SegmentSums sums;
    private final Fold fold = new Fold();

    private Phase phase = Phase.MEASURE;
    private NormKind kind = NormKind.L2;
    private double p;
    private double min;
    private double max;
    private long phaseFirstTile;
    private long phaseLastTile;
    private long chunkTiles;
    private final AtomicInteger planes = new AtomicInteger();
    private final AtomicLong changed = new AtomicLong();

    private CpuPlan(CpuPlanMemory memory, Kernels kernels, Workers team) {
        this.memory = memory;
        this.kernels = kernels;
        this.team = team;
        firstPiece = new int[memory.segments + 1];
        for (int segment : memory.segmentOf) firstPiece[segment + 1]++;
        for (int i = 0; i < memory.segments; i++) firstPiece[i + 1] += firstPiece[i];
        absent = new boolean[memory.segments];
        sums = new SegmentSums(memory.segments);
    }

    /** A plan that plain Java runs. */
    public static CpuPlan java(List<List<Piece>> segments, Workers team) {
        CpuPlanMemory memory = new CpuPlanMemory(segments, false);
        return new CpuPlan(memory, new JavaKernels(memory), team);
    }

    /** A plan that native code of one SIMD level runs. */
    public static CpuPlan nativeCpu(List<List<Piece>> segments, Workers team, int level) {
        CpuPlanMemory memory = new CpuPlanMemory(segments, true);
        return new CpuPlan(memory, new NativeKernels(memory, level), team);
    }

    /**
     * Binds a piece of a segment to other memory of the same type and length, or to none; nothing if it is the same.
     */
    public void rebind(int segment, int piece, Piece memoryOfPiece) {
        int index = firstPiece[segment] + piece;
        if (memory.pieces[index].sameMemory(memoryOfPiece)) return;
        memory.set(index, memoryOfPiece);
        boolean hasTiles = memory.firstTile[index + 1] > memory.firstTile[index];
        if (hasTiles) absent[segment] = memoryOfPiece.length() == 0;
    }

    /** Binds a segment of one piece to elements at an address: {@link #rebind}. */
    public void rebindAddress(int segment, DType dtype, long address, long length) {
        int index = firstPiece[segment];
        memory.setAddress(index, dtype, address, length);
        if (memory.firstTile[index + 1] > memory.firstTile[index]) absent[segment] = false;
    }

    /** The memory a piece of a segment is bound to, unless that is an address of {@link #rebindAddress}. */
    public Piece piece(int segment, int piece) {
        return memory.pieces[firstPiece[segment] + piece];
    }

    /** Measures the segments {@code [from, to)}; {@link #total} reads what it found. */
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

    private void runMeasure(int from, int to) {
        planes.set(0);
        run(Phase.MEASURE, from, to, false);
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

    /** The norm of the segments {@code [from, to)}, measured before, taken together. */
    public void total(NormType type, int from, int to, ScaledNorm norm) {
        sums.total(type, from, to, norm);
    }

    /** Hands the tiles' partials of the last {@link #measure} on. */
    public void drain(TensorSums to) {
        to.addPartials(memory.partials, (int) memory.tiles, memory.planeStride > 0 ? 3 : 1);
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
        // Backwards: what was measured last is still in the caches.
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
                team.threads() == 1 || memory.cost[firstPiece[to]] - memory.cost[firstPiece[from]] < ALONE_BYTES;
        long fewest = alone ? 1 : team.threads() * CHUNKS_A_THREAD;
        chunkTiles = Math.min(MOST_TILES_A_CHUNK, Math.max(1, tiles / fewest));
        long chunks = (tiles + chunkTiles - 1) / chunkTiles;
        try {
            if (alone) {
                for (long i = 0; i < chunks; i++) runChunk(backwards ? chunks - 1 - i : i);
            } else {
                team.run(job, chunks, backwards);
            }
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    private void runChunk(long chunk) {
        long first = phaseFirstTile + chunk * chunkTiles;
        long last = Math.min(phaseLastTile, first + chunkTiles);
        switch (phase) {
            case MEASURE -> {
                int used = kernels.measure(kind, p, first, last);
                if (used != 0) planes.accumulateAndGet(used, (a, b) -> a | b);
            }
            case SCALE -> kernels.scale(first, last);
            case CLAMP -> changed.addAndGet(kernels.clamp(min, max, first, last));
            case ZERO_NON_FINITE -> changed.addAndGet(kernels.zeroNonFinite(first, last));
        }
    }
}
