// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.threads;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Each chunk is done once, in its own phase, by any helper at any time. */
@Tag("thorough")
@Timeout(60)
class ChunkQueueTest {
    private static final ChunkQueue.Helpers NOBODY = (job, helpers) -> {};
    private static final int SCALE = Integer.getInteger("thorough.scale", 1);

    @Test
    void everyChunkIsDoneOnceInItsPhaseWhileHelpersHammer() throws InterruptedException {
        AtomicIntegerArray done = new AtomicIntegerArray(64);
        AtomicInteger outside = new AtomicInteger();
        ChunkQueue job = new ChunkQueue(chunk -> {
            if (chunk < 0 || chunk >= 64) outside.incrementAndGet();
            else done.incrementAndGet((int) chunk);
        });
        AtomicBoolean stop = new AtomicBoolean();
        List<Thread> helpers = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            Thread helper = new Thread(() -> {
                while (!stop.get()) job.run();
            });
            helper.start();
            helpers.add(helper);
        }
        Random random = new Random(1);
        for (int phase = 0; phase < 20_000 * SCALE; phase++) {
            int chunks = random.nextInt(65);
            job.phase(chunks, 3, phase % 2 == 1, NOBODY);
            for (int i = 0; i < 64; i++) {
                assertEquals(i < chunks ? 1 : 0, done.getAndSet(i, 0), "chunk " + i + " of " + chunks);
            }
        }
        stop.set(true);
        for (Thread helper : helpers) helper.join();
        assertEquals(0, outside.get());
    }

    /** A clock that stands still except in phases with helpers: a millisecond of work, then a wait. */
    private static final class HelpedClock implements LongSupplier {
        private static final long MILLISECOND = 1_000_000;
        private long now;
        private long wait;
        private int phases;
        private int looks = 2;

        void helperAsked() {
            phases++;
            looks = 0;
        }

        @Override
        public long getAsLong() {
            if (looks == 0) now += MILLISECOND;
            if (looks == 1) now += wait;
            looks++;
            return now;
        }
    }

    @Test
    void aHelperThatKeepsTheCallerWaitingIsLeftOutForLongerEachTime() {
        HelpedClock clock = new HelpedClock();
        ChunkQueue job = new ChunkQueue(chunk -> {}, clock);
        Workers team = Workers.of(
                task -> {
                    clock.helperAsked();
                    task.run();
                },
                2);
        clock.wait = 2 * HelpedClock.MILLISECOND;
        team.run(job, 2, false);
        for (int times = 4; times <= 256; times *= 2) {
            int before = clock.phases;
            clock.now += times * clock.wait - 1;
            team.run(job, 2, false);
            assertEquals(before, clock.phases, "alone for " + times + " times the wait");
            clock.now++;
            team.run(job, 2, false);
            assertEquals(before + 1, clock.phases, "tried again after " + times + " times the wait");
        }
        clock.now += 1_000_000_000;
        clock.wait = HelpedClock.MILLISECOND / 2;
        int before = clock.phases;
        for (int i = 0; i < 100; i++) team.run(job, 2, false);
        assertEquals(before + 100, clock.phases, "half a wait for a whole millisecond of work is a gain");
        clock.wait = 2 * HelpedClock.MILLISECOND;
        team.run(job, 2, false);
        clock.now += 4 * clock.wait;
        team.run(job, 2, false);
        assertEquals(before + 102, clock.phases, "what went wrong long ago is forgotten");
    }

    /** A helper is tried again however long it waited; half a minute is the time of a machine that was suspended. */
    @Test
    void aHelperIsTriedAgainAfterASecond() {
        HelpedClock clock = new HelpedClock();
        ChunkQueue job = new ChunkQueue(chunk -> {}, clock);
        Workers team = Workers.of(
                task -> {
                    clock.helperAsked();
                    task.run();
                },
                2);
        clock.wait = 30_000 * HelpedClock.MILLISECOND;
        team.run(job, 2, false);
        clock.now += 999_999_999;
        team.run(job, 2, false);
        assertEquals(1, clock.phases);
        clock.now++;
        team.run(job, 2, false);
        assertEquals(2, clock.phases);
    }

    @Test
    void whatAChunkThrowsReachesTheCallerAndEndsThePhaseOnly() {
        AtomicInteger ran = new AtomicInteger();
        Error error = new AssertionError("chunk 2");
        ChunkQueue job = new ChunkQueue(chunk -> {
            ran.incrementAndGet();
            if (chunk == 2) throw error;
        });
        assertSame(error, assertThrows(AssertionError.class, () -> job.phase(100, 0, false, NOBODY)));
        assertEquals(3, ran.get(), "the rest is not worth doing");
        job.phase(2, 0, false, NOBODY);
        assertEquals(5, ran.get());
    }

    @Test
    void whatAHelperThrowsReachesTheCaller() {
        RuntimeException failure = new IllegalStateException("in a helper");
        Thread caller = Thread.currentThread();
        ChunkQueue job = new ChunkQueue(chunk -> {
            if (Thread.currentThread() != caller) throw failure;
        });
        assertSame(
                failure,
                assertThrows(IllegalStateException.class, () -> job.phase(1, 1, false, ChunkQueueTest::helpToTheEnd)));
    }

    /** A caller that fails still waits for the chunk that a helper has begun, whose memory may be freed afterwards. */
    @Test
    void aFailingCallerWaitsForItsHelpers() throws InterruptedException {
        Thread caller = Thread.currentThread();
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch failed = new CountDownLatch(1);
        AtomicBoolean helperIsDone = new AtomicBoolean();
        Error error = new StackOverflowError("of the caller");
        ChunkQueue job = new ChunkQueue(chunk -> {
            if (Thread.currentThread() == caller) {
                failed.countDown();
                throw error;
            }
            begun.countDown();
            try {
                failed.await();
                Thread.sleep(20);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            helperIsDone.set(true);
        });
        Thread helper = new Thread(job);
        assertSame(
                error,
                assertThrows(
                        StackOverflowError.class,
                        () -> job.phase(10, 1, false, (open, helpers) -> {
                            helper.start();
                            await(begun);
                        })));
        assertTrue(helperIsDone.get());
        helper.join();
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** Wherever a phase ends early, the next has all its chunks, and late helpers do none of the one before. */
    @Test
    void aPhaseThatFailedLeavesNothingForTheNext() {
        int[] bad = {-1};
        Error error = new OutOfMemoryError("in a chunk");
        AtomicIntegerArray done = new AtomicIntegerArray(40);
        ChunkQueue job = new ChunkQueue(chunk -> {
            if (chunk == bad[0]) throw error;
            done.incrementAndGet((int) chunk);
        });
        for (int chunk = 0; chunk < 40; chunk++) {
            bad[0] = chunk;
            int helpers = chunk % 4;
            assertSame(
                    error,
                    assertThrows(
                            OutOfMemoryError.class,
                            () -> job.phase(40, helpers, helpers == 2, (open, count) -> open.help(-1))));
            bad[0] = -1;
            for (int i = 0; i < 40; i++) done.set(i, 0);
            job.run();
            for (int i = 0; i < 40; i++) assertEquals(0, done.get(i), "after the phase");
            job.phase(40, 3, false, (open, count) -> open.help(-1));
            for (int i = 0; i < 40; i++) assertEquals(1, done.get(i), "chunk " + i);
        }
    }

    @Test
    void whatBringsHelpersMayThrowAnything() {
        AtomicInteger ran = new AtomicInteger();
        ChunkQueue job = new ChunkQueue(chunk -> ran.incrementAndGet());
        Throwable checked = new java.io.IOException("of an executor");
        assertSame(
                checked,
                assertThrows(
                        java.io.IOException.class,
                        () -> job.phase(
                                10, 1, false, (open, count) -> ChunkQueueTest.<RuntimeException>throwAsIs(checked))));
        assertEquals(0, ran.get(), "nothing was begun");
        job.phase(10, 1, false, NOBODY);
        assertEquals(10, ran.get());
    }

    @SuppressWarnings("unchecked")
    private static <E extends Throwable> void throwAsIs(Throwable thrown) throws E {
        throw (E) thrown;
    }

    /** Each helper has one task at a time; some executors drop tasks, so after a second a new one is given. */
    @Test
    void aBusyExecutorCollectsNoTasks() {
        long[] now = {0};
        ChunkQueue job = new ChunkQueue(chunk -> {}, () -> now[0]);
        List<Runnable> queue = new ArrayList<>();
        Workers team = Workers.of(queue::add, 4);
        for (int i = 0; i < 100; i++) team.run(job, 100, false);
        assertEquals(3, queue.size());
        queue.remove(0).run();
        for (int i = 0; i < 100; i++) team.run(job, 100, false);
        assertEquals(3, queue.size(), "one more for the one it has begun");
        now[0] = 1_000_000_001;
        for (int i = 0; i < 100; i++) team.run(job, 100, false);
        assertEquals(6, queue.size());
        queue.forEach(Runnable::run);
        queue.clear();
        for (int i = 0; i < 100; i++) team.run(job, 100, false);
        assertEquals(3, queue.size());
    }

    /** Helps on a thread of its own, before the caller begins. */
    private static void helpToTheEnd(ChunkQueue job, int helpers) {
        Thread helper = new Thread(job);
        helper.start();
        try {
            helper.join();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void noMoreHelpersThanSeats() {
        AtomicInteger ran = new AtomicInteger();
        AtomicInteger helped = new AtomicInteger();
        List<ChunkQueue> self = new ArrayList<>();
        ChunkQueue job = new ChunkQueue(chunk -> {
            ran.incrementAndGet();
            if (helped.get() < 3 && self.get(0).help(-1)) helped.incrementAndGet();
        });
        self.add(job);
        assertFalse(job.help(-1), "nothing to do");
        job.phase(5, 0, false, NOBODY);
        assertEquals(5, ran.get());
        assertEquals(0, helped.get(), "no seat for a helper");
        job.phase(10, 1, false, (open, helpers) -> assertTrue(open.help(-1)));
        assertEquals(15, ran.get());
        assertEquals(0, helped.get(), "the seat was taken");
    }

    /** A helper's share is reserved for it for a moment, not forever. */
    @Test
    void theCallerDoesTheOtherChunksOfAHelperThatIsHeldUp() throws InterruptedException {
        Thread caller = Thread.currentThread();
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch free = new CountDownLatch(1);
        AtomicInteger byHelper = new AtomicInteger();
        AtomicInteger byCaller = new AtomicInteger();
        ChunkQueue job = new ChunkQueue(chunk -> {
            if (Thread.currentThread() == caller) {
                if (byCaller.incrementAndGet() == 9) free.countDown();
                return;
            }
            byHelper.incrementAndGet();
            begun.countDown();
            try {
                free.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        Thread helper = new Thread(job);
        job.phase(10, 1, false, (open, helpers) -> {
            helper.start();
            try {
                begun.await();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        });
        helper.join();
        assertEquals(1, byHelper.get());
        assertEquals(9, byCaller.get());
    }

    @Test
    void thePoolDoesEveryChunkOfEveryJob() throws InterruptedException {
        List<Thread> callers = new ArrayList<>();
        AtomicInteger wrong = new AtomicInteger();
        for (int c = 0; c < 8; c++) {
            int seed = c;
            Thread caller = new Thread(() -> {
                Random random = new Random(seed);
                AtomicInteger ran = new AtomicInteger();
                ChunkQueue job = new ChunkQueue(chunk -> ran.incrementAndGet());
                for (int phase = 0; phase < 2_000 * SCALE; phase++) {
                    ran.set(0);
                    int chunks = 1 + random.nextInt(20);
                    Workers.ofThreads(1 + random.nextInt(5)).run(job, chunks, false);
                    if (ran.get() != chunks) wrong.incrementAndGet();
                }
            });
            caller.start();
            callers.add(caller);
        }
        for (Thread caller : callers) caller.join();
        assertEquals(0, wrong.get());
    }

    /** There are more jobs at once than the pool has slots: the callers without a slot work alone. */
    @Test
    void moreCallersThanSlots() throws InterruptedException {
        AtomicInteger ran = new AtomicInteger();
        List<Thread> callers = new ArrayList<>();
        for (int c = 0; c < 100; c++) {
            Thread caller = new Thread(() -> {
                ChunkQueue job = new ChunkQueue(chunk -> {
                    ran.incrementAndGet();
                    Thread.onSpinWait();
                });
                for (int phase = 0; phase < 20; phase++) SharedPool.instance().run(job, 10, 2, false);
            });
            caller.start();
            callers.add(caller);
        }
        for (Thread caller : callers) caller.join();
        assertEquals(100 * 20 * 10, ran.get());
    }
}
