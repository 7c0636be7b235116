// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.threads;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The life of the pool's threads. */
@Timeout(60)
class SharedPoolTest {
    private static final long FOREVER = Long.MAX_VALUE / 2;
    private static final long MILLISECOND = 1_000_000;

    private final List<Thread> started = new CopyOnWriteArrayList<>();
    private final AtomicInteger refusals = new AtomicInteger();

    /** Makes a pool that records its threads, and may fail to start some. */
    private SharedPool pool(long keepNanos) {
        return new SharedPool(keepNanos) {
            @Override
            void start(Thread helper) {
                if (refusals.getAndUpdate(n -> Math.max(0, n - 1)) > 0) throw new OutOfMemoryError("no thread");
                super.start(helper);
                started.add(helper);
            }
        };
    }

    private static void run(SharedPool pool, int helpers) {
        AtomicInteger ran = new AtomicInteger();
        pool.run(new ChunkQueue(chunk -> ran.incrementAndGet()), 20, helpers, false);
        assertEquals(20, ran.get());
    }

    private static void await(BooleanSupplier condition) throws InterruptedException {
        while (!condition.getAsBoolean()) Thread.sleep(1);
    }

    private static boolean isParked(Thread thread) {
        return thread.getState() == Thread.State.TIMED_WAITING;
    }

    @Test
    void anInterruptedHelperParksAgainAndHelps() throws InterruptedException {
        SharedPool pool = pool(FOREVER);
        run(pool, 1);
        Thread helper = started.get(0);
        await(() -> isParked(helper));
        helper.interrupt();
        await(() -> !helper.isInterrupted() && isParked(helper));
        AtomicInteger byHelper = new AtomicInteger();
        while (byHelper.get() == 0) {
            pool.run(
                    new ChunkQueue(chunk -> {
                        if (Thread.currentThread() == helper) byHelper.incrementAndGet();
                    }),
                    100,
                    1,
                    false);
        }
        assertEquals(1, started.size());
    }

    @Test
    void helpersThatCouldNotBeStartedAreTriedAgain() throws InterruptedException {
        SharedPool pool = pool(FOREVER);
        refusals.set(2);
        run(pool, 3);
        assertEquals(0, pool.size(), "after the first refusal no other is tried");
        assertEquals(1, refusals.get());
        await(() -> {
            run(pool, 3);
            return pool.size() == 3;
        });
        assertEquals(3, started.size());
        assertEquals(0, refusals.get());
    }

    @Test
    void anIdleHelperEndsAndANewOneStartsWhenThereIsWork() throws InterruptedException {
        SharedPool pool = pool(5 * MILLISECOND);
        run(pool, 2);
        await(() -> pool.size() == 0);
        for (Thread helper : started) helper.join();
        run(pool, 1);
        assertEquals(3, started.size());
        await(() -> pool.size() == 0);
    }

    /** Helpers start and end all the time. */
    @Test
    void everyChunkIsDoneWhileHelpersEnd() {
        SharedPool pool = pool(0);
        for (int i = 0; i < 300 || started.size() < 10; i++) run(pool, 3);
    }

    /** A helper does not keep the class loader of the thread that happens to clip first. */
    @Test
    void aHelperKeepsNoContextClassLoader() throws InterruptedException {
        SharedPool pool = pool(FOREVER);
        ClassLoader context = new ClassLoader(null) {};
        Thread caller = new Thread(() -> run(pool, 1));
        caller.setContextClassLoader(context);
        caller.start();
        caller.join();
        assertNotSame(context, started.get(0).getContextClassLoader());
        assertNull(started.get(0).getContextClassLoader());
        assertTrue(started.get(0).isDaemon());
    }

    /** A slot becomes free again, whatever is thrown. */
    @Test
    void slotsAreNotUsedUpByFailures() {
        SharedPool pool = pool(FOREVER);
        Error fault = new AssertionError("each time");
        for (int i = 0; i < 100; i++) {
            try {
                pool.run(
                        new ChunkQueue(chunk -> {
                            throw fault;
                        }),
                        2,
                        1,
                        false);
            } catch (AssertionError e) {
                assertSame(fault, e);
            }
        }
        Thread caller = Thread.currentThread();
        AtomicInteger byHelper = new AtomicInteger();
        while (byHelper.get() == 0) {
            pool.run(
                    new ChunkQueue(chunk -> {
                        if (Thread.currentThread() != caller) byHelper.incrementAndGet();
                    }),
                    100,
                    1,
                    false);
        }
        assertFalse(started.isEmpty());
    }
}
