// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Chunks of work that threads claim one by one. The caller works too and waits only for chunks that others have begun, so
 * a helper that comes late, or never, costs nothing.
 *
 * <p>Each thread begins in a share of its own, the same in every phase, and takes from the others' when that is done: what
 * it measured is then in its own cache when it scales (a clip of 1 Mi floats on two cores: 369 µs with one shared queue,
 * 245 µs with shares).
 *
 * <p>Reused for every phase: the chunks of a share are numbered on and on, and a phase is a range of these numbers, so that
 * a helper left over from one phase can't claim from the next by mistake.
 */
final class Job implements Runnable {
    /** One chunk, from 0 in each phase. */
    interface Work {
        void run(long chunk);
    }

    private static final int MOST_SHARES = 16;

    /** 128 bytes apart, so that threads in different shares don't fight over a cache line. */
    private static final int STRIDE = 16;

    private static final int SPINS = 2000;

    /**
     * About 15 µs, for which a share is left to its owner once that has begun with it: taken by another, its cache lines
     * wander there and back in each phase (500 tensors of 4 KiB, measured and scaled by two threads on two cores: 80 µs;
     * 110 where a thread that was done took what it found). Later the owner is taken to be elsewhere.
     */
    private static final int OWNER_SPINS = 300;

    /**
     * A caller that waits longer for its helpers than it worked itself would have been done sooner alone: where every
     * processor is busy, a helper that has begun a chunk may get none for milliseconds (2 MiB, clipped in two threads beside
     * three busy processes on two cores: one call in ten took 3.9 ms, alone 0.3). Then it works alone for so many times as
     * long as it waited, twice as many each time that goes wrong, before helpers are tried again. By time and not by
     * phases: one that lasts milliseconds loses half of them alone.
     */
    private static final int FIRST_ALONE = 4;

    private static final long LONGEST_ALONE = 1_000_000_000;
    private static final int GOOD_PHASES = 64;
    private static final long WAIT_THAT_COUNTS = 200_000;

    private final Work work;
    private final LongSupplier clock;
    private final AtomicLongArray next = new AtomicLongArray(MOST_SHARES * STRIDE);
    private final AtomicLongArray limit = new AtomicLongArray(MOST_SHARES * STRIDE);
    private final long[] firstNumber = new long[MOST_SHARES];
    private final long[] firstChunk = new long[MOST_SHARES];
    private final AtomicLong done = new AtomicLong();
    private final AtomicInteger seats = new AtomicInteger();
    private volatile int shares;
    private boolean descending;
    private long opened;
    private long began;
    private boolean alone;
    private long aloneSince;
    private long aloneFor;
    private long aloneTimes = FIRST_ALONE;
    private int goodPhases;
    private volatile @Nullable Throwable failure;

    Job(Work work) {
        this(work, System::nanoTime);
    }

    /** With another clock, for tests. */
    Job(Work work, LongSupplier clock) {
        this.work = work;
        this.clock = clock;
    }

    /**
     * Opens a phase of so many chunks to at most so many helpers at a time.
     *
     * @param backwards whether each share is done from its last chunk to its first
     */
    void open(long chunks, int helpers, boolean backwards) {
        int count = (int) Math.max(1, Math.min(Math.min(MOST_SHARES, helpers + 1L), chunks));
        failure = null;
        descending = backwards;
        shares = count;
        seats.set(helpers);
        opened += chunks;
        began = clock.getAsLong();
        for (int share = 0; share < count; share++) {
            long from = chunks * share / count;
            long to = chunks * (share + 1) / count;
            firstChunk[share] = from;
            firstNumber[share] = limit.get(share * STRIDE);
            limit.set(share * STRIDE, firstNumber[share] + to - from);
        }
    }

    /** Works until nothing is left, waits for the helpers, and throws what any of them threw. */
    void finish() {
        claimFrom(0);
        long worked = clock.getAsLong();
        for (int spins = 0; done.get() != opened; spins++) {
            if (spins < SPINS) Thread.onSpinWait();
            else LockSupport.parkNanos(20_000);
        }
        learn(worked - began, clock.getAsLong() - worked);
        Throwable thrown = failure;
        if (thrown instanceof RuntimeException e) throw e;
        if (thrown instanceof Error e) throw e;
    }

    /** Whether the next phase goes without helpers. */
    boolean isBetterAlone() {
        if (alone) alone = clock.getAsLong() - aloneSince < aloneFor;
        return alone;
    }

    private void learn(long worked, long waited) {
        if (shares == 1) return;
        if (waited > WAIT_THAT_COUNTS && waited > worked) {
            alone = true;
            aloneSince = began + worked + waited;
            aloneFor = Math.min(LONGEST_ALONE, aloneTimes * waited);
            aloneTimes = Math.min(LONGEST_ALONE / WAIT_THAT_COUNTS, 2 * aloneTimes);
            goodPhases = 0;
        } else if (++goodPhases == GOOD_PHASES) {
            aloneTimes = FIRST_ALONE;
            goodPhases = 0;
        }
    }

    boolean hasWork() {
        return seats.get() > 0 && hasUnclaimed();
    }

    private boolean hasUnclaimed() {
        for (int share = shares - 1; share >= 0; share--) {
            if (next.get(share * STRIDE) < limit.get(share * STRIDE)) return true;
        }
        return false;
    }

    /** The part of a thread in a phase that has a number for each: 0 is the caller. */
    void work(int thread) {
        if (thread == 0) finish();
        else help(thread);
    }

    /** A helper's part in the current phase, in whichever share its seat says. */
    @Override
    public void run() {
        help(-1);
    }

    /** A helper's part, beginning in a share; a helper that has a number names the same one each time. */
    void help(int share) {
        int seat = seats.decrementAndGet();
        if (seat >= 0) claimFrom(share < 0 ? seat + 1 : share);
        seats.incrementAndGet();
    }

    /** Takes its own share, those that nobody has begun, and, when their owners have had time enough, all others. */
    private void claimFrom(int own) {
        int count = shares;
        long ran = claimAll(own % count);
        for (int i = 1; i < count; i++) {
            int share = (own + i) % count;
            // A helper late from an earlier phase may see these two out of step.
            if (next.get(share * STRIDE) <= firstNumber[share]) ran += claimAll(share);
        }
        // Once for all of them: counted chunk by chunk, the threads fought over the counter, 100 ns a chunk.
        if (ran > 0) done.addAndGet(ran);
        for (int spins = 0; spins < OWNER_SPINS && hasUnclaimed(); spins++) Thread.onSpinWait();
        ran = 0;
        for (int i = 1; i < count; i++) ran += claimAll((own + i) % count);
        if (ran > 0) done.addAndGet(ran);
    }

    private long claimAll(int share) {
        long ran = 0;
        for (long number = claim(share); number >= 0; number = claim(share)) {
            runNumber(share, number);
            ran++;
        }
        return ran;
    }

    /** The number of a chunk that is now this thread's alone, or -1 when none is left. */
    private long claim(int share) {
        while (true) {
            long number = next.get(share * STRIDE);
            if (number >= limit.get(share * STRIDE)) return -1;
            if (next.compareAndSet(share * STRIDE, number, number + 1)) return number;
        }
    }

    /** The phase can't end before this chunk is counted, so what {@link #open} wrote for the share belongs to it. */
    private void runNumber(int share, long number) {
        if (failure != null) return;
        long at = descending ? limit.get(share * STRIDE) - 1 - number : number - firstNumber[share];
        try {
            work.run(firstChunk[share] + at);
        } catch (RuntimeException | Error e) {
            failure = e;
        }
    }
}
