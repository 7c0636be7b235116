// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.threads;

import java.util.Arrays;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Chunks of work that the threads of a phase claim one by one. One object serves every phase of a plan.
 *
 * <p><b>Assumptions:</b>
 *
 * <ul>
 *   <li>One thread at a time calls {@link #phase}: the caller.
 *   <li>Helpers come at any time, through {@link #help}, {@link #work} or {@link #run}: before, during or after a
 *       phase, late from an earlier one, or never.
 *   <li>The work, the executor and the JVM may throw anything, a StackOverflowError included.
 * </ul>
 *
 * <p><b>Guarantees:</b>
 *
 * <ul>
 *   <li>Each chunk of a phase is done by one thread, once, unless something was thrown.
 *   <li>The caller works too, and waits only for chunks that helpers have begun. A helper that is late costs nothing.
 *   <li>When {@link #phase} returns or throws, no helper works any more and all that helpers wrote is visible.
 *   <li>If anything was thrown, chunks that are not begun are left out, and {@link #phase} throws it.
 *   <li>A phase allocates nothing here, unless it has more helpers than any before.
 * </ul>
 *
 * <p><b>Design:</b> each thread begins with a share of its own, the same in every phase, and takes chunks of other
 * shares when its own is done. The elements that it measured are then in its own cache when it scales them (a clip of
 * 1 Mi floats on two cores: 369 µs with one shared queue, 245 µs with shares). The numbers of a share's chunks continue
 * from phase to phase, so that a late helper cannot claim a chunk of an earlier phase again. A helper marks its seat as
 * working before it claims and clears the mark after its last chunk; the caller returns when no seat is marked. The
 * steps that end a phase call no method, because on a thread whose stack is used up each call throws.
 */
public final class ChunkQueue implements Runnable {
    /** The work on one chunk; chunks are numbered from 0 in each phase. */
    public interface Work {
        void run(long chunk);
    }

    /** Brings helpers to a phase that is open. */
    interface Helpers {
        void invite(ChunkQueue queue, int helpers);
    }

    /** A place for one helper at a time, with its state. */
    private static final class Seat {
        volatile int state;
    }

    private static final AtomicIntegerFieldUpdater<Seat> STATE =
            AtomicIntegerFieldUpdater.newUpdater(Seat.class, "state");

    private static final int FREE = 0;

    /** The state of a seat whose helper claims no chunk at the moment. */
    private static final int IDLE = 1;

    private static final int WORKING = 2;

    private static final int MOST_SHARES = 16;

    /** The counters of two shares are 128 bytes apart, so that no cache line holds both. */
    private static final int STRIDE = 16;

    private static final int SPINS = 2000;

    /**
     * The spins, about 15 µs, before a thread takes chunks of a share that its owner has begun. Taking them at once
     * moves their cache lines to and fro in each phase: 500 tensors of 4 KiB, measured and scaled by two threads on two
     * cores, took 80 µs with the wait and 110 without. An owner that takes longer is assumed not to be running.
     */
    private static final int OWNER_SPINS = 300;

    /**
     * The first multiple of a wait for which phases go without helpers. A caller that waits longer for its helpers than
     * it worked itself would have finished sooner alone: if every processor is busy, a helper that has begun a chunk
     * may not run for milliseconds (2 MiB, clipped in two threads beside three busy processes on two cores: one call in
     * ten took 3.9 ms, alone 0.3). The caller then works alone for a multiple of the time it waited, and the multiple
     * doubles each time this happens. It is counted in time rather than in phases, because a phase that lasts
     * milliseconds loses half of them alone.
     */
    private static final int FIRST_ALONE = 4;

    private static final long LONGEST_ALONE = 1_000_000_000;
    private static final int GOOD_PHASES = 64;
    private static final long WAIT_THAT_COUNTS = 200_000;
    private static final long LONGEST_ASKED = 1_000_000_000;

    private final Work work;
    private final LongSupplier clock;
    private final AtomicLongArray next = new AtomicLongArray(MOST_SHARES * STRIDE);
    private final AtomicLongArray limit = new AtomicLongArray(MOST_SHARES * STRIDE);
    private final long[] firstNumber = new long[MOST_SHARES];
    private final long[] firstChunk = new long[MOST_SHARES];
    private final Seat callers = new Seat();
    private volatile Seat[] seats = {};

    /** The number of seats that helpers may take. */
    private volatile int places;

    /** True if chunks may be claimed; false between phases. */
    private volatile boolean isOpen;

    private volatile int shares;
    private boolean descending;
    private long began;
    private final AtomicInteger asked = new AtomicInteger();
    private long askedAt;
    private boolean alone;
    private long aloneSince;
    private long aloneFor;
    private long aloneTimes = FIRST_ALONE;
    private int goodPhases;
    private volatile @Nullable Throwable failure;

    public ChunkQueue(Work work) {
        this(work, new LongSupplier() {
            @Override
            public long getAsLong() {
                return System.nanoTime();
            }
        });
    }

    /** Takes another clock than the system's, for tests. */
    public ChunkQueue(Work work, LongSupplier clock) {
        this.work = work;
        this.clock = clock;
    }

    /**
     * Does all chunks and returns when no helper works any more, or throws what any of the threads threw.
     *
     * @param helpers the largest number of helpers at a time
     * @param backwards true if each share is done from its last chunk to its first
     */
    void phase(long chunks, int helpers, boolean backwards, Helpers from) {
        long worked = 0;
        try {
            open(chunks, helpers, backwards);
            if (helpers > 0) from.invite(this, helpers);
            claimFrom(0, callers);
            worked = clock.getAsLong();
        } catch (Throwable e) {
            failure = e;
        }
        isOpen = false;
        boolean isWaiting = true;
        for (int spins = 0; isWaiting; spins++) {
            isWaiting = false;
            for (Seat seat : seats) isWaiting |= seat.state == WORKING;
            try {
                if (isWaiting) pause(spins);
            } catch (Throwable e) {
                failure = e;
            }
        }
        Throwable thrown = failure;
        if (thrown instanceof Error e) throw e;
        if (thrown != null) ChunkQueue.<RuntimeException>throwAsIs(thrown);
        learn(worked - began, clock.getAsLong() - worked);
    }

    /** Throws any exception, because executors in some languages throw checked ones undeclared. */
    @SuppressWarnings("unchecked")
    private static <E extends Throwable> void throwAsIs(Throwable thrown) throws E {
        throw (E) thrown;
    }

    private static void pause(int spins) {
        if (spins < SPINS) Thread.onSpinWait();
        else LockSupport.parkNanos(20_000);
    }

    private void open(long chunks, int helpers, boolean backwards) {
        int count = (int) Math.max(1, Math.min(Math.min(MOST_SHARES, helpers + 1L), chunks));
        if (helpers > seats.length) addSeats(helpers);
        places = helpers;
        descending = backwards;
        shares = count;
        began = clock.getAsLong();
        for (int share = 0; share < MOST_SHARES; share++) {
            long first = limit.get(share * STRIDE);
            // A failed phase leaves chunks unclaimed, which a late helper with the old number of shares could claim.
            if (next.get(share * STRIDE) != first) next.set(share * STRIDE, first);
            if (share >= count) continue;
            long from = chunks * share / count;
            long to = chunks * (share + 1) / count;
            firstChunk[share] = from;
            firstNumber[share] = first;
            limit.set(share * STRIDE, first + to - from);
        }
        failure = null;
        isOpen = true;
    }

    private void addSeats(int helpers) {
        Seat[] before = seats;
        Seat[] more = Arrays.copyOf(before, helpers);
        for (int i = before.length; i < helpers; i++) more[i] = new Seat();
        seats = more;
    }

    /** Returns true if the next phase should go without helpers. */
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

    private boolean hasUnclaimed() {
        for (int share = shares - 1; share >= 0; share--) {
            if (next.get(share * STRIDE) < limit.get(share * STRIDE)) return true;
        }
        return false;
    }

    /**
     * Gives an executor one task for each helper. Tasks that it has not begun count, so that a busy executor does not
     * collect tasks without end; they count for a second only, because some executors drop tasks.
     */
    void ask(Executor executor, int helpers) {
        if (began - askedAt > LONGEST_ASKED) asked.set(0);
        for (int more = helpers - asked.get(); more > 0; more--) {
            boolean taken = false;
            asked.incrementAndGet();
            askedAt = began;
            try {
                executor.execute(this);
                taken = true;
            } finally {
                if (!taken) begun();
            }
        }
    }

    private void begun() {
        asked.updateAndGet(tasks -> Math.max(0, tasks - 1));
    }

    /** Works as thread {@code thread} of an OpenMP region; thread 0 is the caller. */
    void work(int thread) {
        if (thread == 0) claimFrom(0, callers);
        else help(thread);
    }

    /** Helps in the current phase as a task of an executor, beginning with the share of the seat it finds. */
    @Override
    public void run() {
        begun();
        help(-1);
    }

    /**
     * Helps in the current phase.
     *
     * @param share the share to begin with, which should be the same each time; -1 takes the share of the seat found
     * @return false if there was nothing to do, or no free seat
     */
    boolean help(int share) {
        if (!isOpen || !hasUnclaimed()) return false;
        Seat[] all = seats;
        int count = Math.min(places, all.length);
        for (int i = 0; i < count; i++) {
            int place = (Math.max(0, share - 1) + i) % count;
            Seat seat = all[place];
            if (seat.state != FREE || !STATE.compareAndSet(seat, FREE, IDLE)) continue;
            try {
                claimFrom(share < 0 ? place + 1 : share, seat);
            } catch (Throwable e) {
                failure = e;
            } finally {
                seat.state = FREE;
            }
            return true;
        }
        return false;
    }

    /** Claims the thread's own share, then shares without a claim yet, then, after {@link #OWNER_SPINS}, all others. */
    private void claimFrom(int own, Seat seat) {
        int count = shares;
        seat.state = WORKING;
        claimAll(own % count);
        for (int i = 1; i < count; i++) {
            int share = (own + i) % count;
            // A helper that is late from an earlier phase may read these two from different phases; that does no harm.
            if (next.get(share * STRIDE) <= firstNumber[share]) claimAll(share);
        }
        seat.state = IDLE;
        for (int spins = 0; spins < OWNER_SPINS && hasUnclaimed(); spins++) Thread.onSpinWait();
        if (!hasUnclaimed()) return;
        seat.state = WORKING;
        for (int i = 1; i < count; i++) claimAll((own + i) % count);
        seat.state = IDLE;
    }

    private void claimAll(int share) {
        for (long number = claim(share); number >= 0; number = claim(share)) {
            // The phase can't end while this thread's seat is marked, so the share's fields belong to this phase.
            long at = descending ? limit.get(share * STRIDE) - 1 - number : number - firstNumber[share];
            work.run(firstChunk[share] + at);
        }
    }

    /** Claims a chunk; returns its number, or -1 if none is left or the phase is over. */
    private long claim(int share) {
        while (isOpen && failure == null) {
            long number = next.get(share * STRIDE);
            if (number >= limit.get(share * STRIDE)) return -1;
            if (next.compareAndSet(share * STRIDE, number, number + 1)) return number;
        }
        return -1;
    }
}
