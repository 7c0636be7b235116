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
 * Chunks of work that threads claim one by one. The caller works too and waits only for chunks that others have begun,
 * so a helper that comes late, or never, costs nothing.
 *
 * <p>Each thread begins in a share of its own, the same in every phase, and takes from the others' when that is done:
 * what it measured is then in its own cache when it scales (a clip of 1 Mi floats on two cores: 369 µs with one shared
 * queue, 245 µs with shares).
 *
 * <p>Reused for every phase: the chunks of a share are numbered on and on, and a phase is a range of these numbers.
 *
 * <p>Whatever is thrown, wherever, ends the phase: a helper says by its seat that it works, before it claims and after
 * its last chunk, and the caller leaves when no seat says so. What is needed for that calls no method, because on a
 * thread whose stack is used up each call throws.
 */
public final class ChunkQueue implements Runnable {
    /** One chunk, from 0 in each phase. */
    public interface Work {
        void run(long chunk);
    }

    /** Whoever brings helpers to a phase that is open. */
    interface Helpers {
        void invite(ChunkQueue job, int helpers);
    }

    /** A seat that one helper at a time takes. */
    private static final class Seat {
        volatile int state;
    }

    private static final AtomicIntegerFieldUpdater<Seat> STATE =
            AtomicIntegerFieldUpdater.newUpdater(Seat.class, "state");

    private static final int FREE = 0;

    /** Taken by one who claims nothing at the moment. */
    private static final int IDLE = 1;

    private static final int WORKING = 2;

    private static final int MOST_SHARES = 16;

    /** 128 bytes apart, so that threads in different shares don't fight over a cache line. */
    private static final int STRIDE = 16;

    private static final int SPINS = 2000;

    /**
     * About 15 µs, for which a share is left to its owner once that has begun with it: taken by another, its cache
     * lines wander there and back in each phase (500 tensors of 4 KiB, measured and scaled by two threads on two cores:
     * 80 µs; 110 where a thread that was done took what it found). Later the owner is taken to be elsewhere.
     */
    private static final int OWNER_SPINS = 300;

    /**
     * A caller that waits longer for its helpers than it worked itself would have been done sooner alone: where every
     * processor is busy, a helper that has begun a chunk may get none for milliseconds (2 MiB, clipped in two threads
     * beside three busy processes on two cores: one call in ten took 3.9 ms, alone 0.3). Then it works alone for so
     * many times as long as it waited, twice as many each time that goes wrong, before helpers are tried again. By time
     * and not by phases: one that lasts milliseconds loses half of them alone.
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

    /** Seats that may be taken. */
    private volatile int places;

    /** True if chunks may be claimed; nobody claims between phases. */
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
        this(work, System::nanoTime);
    }

    /** With another clock, for tests. */
    public ChunkQueue(Work work, LongSupplier clock) {
        this.work = work;
        this.clock = clock;
    }

    /**
     * Does so many chunks, with so many helpers at a time at most, and returns when they are done and no helper works
     * any more, or throws what any of them threw.
     *
     * @param backwards whether each share is done from its last chunk to its first
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

    /** Throws a checked exception of an executor, which some languages let it throw undeclared. */
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
            // Where a phase failed, some were not claimed, and a late helper may go by the number of shares it had.
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

    /** Returns true if the next phase goes without helpers. */
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
     * Gives an executor tasks, so that it has one for each helper. Those it has not begun count, so that a busy one
     * does not collect them without end, but for a second only, because some drop theirs.
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

    /** The part of a thread in a phase that has a number for each: 0 is the caller. */
    void work(int thread) {
        if (thread == 0) claimFrom(0, callers);
        else help(thread);
    }

    /** A task's part in the current phase, in whichever share its seat says. */
    @Override
    public void run() {
        begun();
        help(-1);
    }

    /**
     * A helper's part, beginning in a share; a helper that has a number names the same one each time.
     *
     * @return false where there was nothing to do, or no seat
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

    /** Takes its own share, those that nobody has begun, and, when their owners have had time enough, all others. */
    private void claimFrom(int own, Seat seat) {
        int count = shares;
        seat.state = WORKING;
        claimAll(own % count);
        for (int i = 1; i < count; i++) {
            int share = (own + i) % count;
            // A helper late from an earlier phase may see these two out of step.
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
            // The phase can't end before this thread's seat says so, so what was written for the share belongs to it.
            long at = descending ? limit.get(share * STRIDE) - 1 - number : number - firstNumber[share];
            work.run(firstChunk[share] + at);
        }
    }

    /** The number of a chunk that is now this thread's alone, or -1 when none is left or the phase is over. */
    private long claim(int share) {
        while (isOpen && failure == null) {
            long number = next.get(share * STRIDE);
            if (number >= limit.get(share * STRIDE)) return -1;
            if (next.compareAndSet(share * STRIDE, number, number + 1)) return number;
        }
        return -1;
    }
}
