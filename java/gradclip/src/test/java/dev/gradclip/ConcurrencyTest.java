// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Field;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** One clipper, one thread at a time; many clippers, many threads; well and badly behaved executors. */
@Timeout(60)
class ConcurrencyTest {
    private static final int LARGE = 1 << 20;
    private final ExecutorService threads = Executors.newCachedThreadPool();

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    @AfterEach
    void stop() {
        threads.shutdownNow();
    }

    private static HostBuffer large(long seed) {
        return Values.buffer(DType.FLOAT32, Values.normal(seed, LARGE, 1));
    }

    /** A clipper whose calls wait within the executor until the latch opens. */
    private static GradientClipper blocking(TestBackend backend, CountDownLatch entered, CountDownLatch leave) {
        Executor executor = task -> {
            entered.countDown();
            boolean interrupted = false;
            while (true) {
                try {
                    leave.await();
                    break;
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (interrupted) Thread.currentThread().interrupt();
        };
        return backend.builder()
                .executor(executor, 2)
                .add(backend.place(large(1)))
                .build();
    }

    private static String refusal(Callable<?> call) {
        return String.valueOf(
                assertThrows(IllegalStateException.class, call::call).getMessage());
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void aSecondThreadIsRefusedByEveryMethod(TestBackend backend) throws Exception {
        CountDownLatch entered = new CountDownLatch(1);
        CountDownLatch leave = new CountDownLatch(1);
        GradientClipper clipper = blocking(backend, entered, leave);
        Future<Double> first = threads.submit(() -> clipper.globalNorm());
        entered.await();
        for (Callable<?> call : List.<Callable<?>>of(
                clipper::globalNorm,
                () -> clipper.clipByGlobalNorm(1),
                () -> clipper.clipPerTensorNorm(1),
                () -> clipper.clipByValue(1),
                () -> clipper.clipWithNorm(1, 2),
                () -> clipper.prepare(ClipRule.value(1)).run(),
                () -> clipper.apply(ClipRule.globalNorm(1)))) {
            String message = refusal(call);
            assertTrue(message.contains("in use by") && message.contains("one thread at a time"), message);
        }
        assertThrows(IllegalStateException.class, () -> clipper.measure("a"));
        assertThrows(IllegalStateException.class, () -> clipper.rebind(new float[LARGE]));
        assertThrows(IllegalStateException.class, () -> clipper.rebind(backend.place(List.of(large(1)))));
        leave.countDown();
        try (GradientClipper alone = backend.clipper(large(1))) {
            assertEquals(alone.globalNorm(), first.get(), "the refused calls left no trace");
        }
        assertEquals(first.get(), clipper.globalNorm());
        clipper.close();
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void closeWaitsForWorkInFlight(TestBackend backend) throws Exception {
        CountDownLatch entered = new CountDownLatch(1);
        CountDownLatch leave = new CountDownLatch(1);
        GradientClipper clipper = blocking(backend, entered, leave);
        Future<Double> call = threads.submit(() -> clipper.globalNorm());
        entered.await();
        Future<?> close = threads.submit(clipper::close);
        assertThrows(java.util.concurrent.TimeoutException.class, () -> close.get(100, TimeUnit.MILLISECONDS));
        leave.countDown();
        close.get();
        assertTrue(call.get() > 1000, "finished although closed meanwhile");
        assertTrue(refusal(clipper::globalNorm).contains("closed"));
    }

    /** A thread that clips in a loop finds the clipper closed at its next call, however soon that comes. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void closeComesBeforeTheNextCall(TestBackend backend) throws Exception {
        CountDownLatch entered = new CountDownLatch(1);
        CountDownLatch leave = new CountDownLatch(1);
        GradientClipper clipper = blocking(backend, entered, leave);
        Future<String> calls = threads.submit(() -> {
            clipper.globalNorm();
            return refusal(clipper::globalNorm);
        });
        entered.await();
        Thread closer = new Thread(clipper::close);
        closer.start();
        while (closer.getState() != Thread.State.TIMED_WAITING) Thread.sleep(1);
        leave.countDown();
        assertTrue(calls.get().contains("closed"), calls::toString);
        closer.join();
    }

    /** A call during the closing by another thread fails like one that comes a moment later. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void aCallWhileItIsBeingClosedIsTold(TestBackend backend) throws Exception {
        CountDownLatch entered = new CountDownLatch(1);
        CountDownLatch leave = new CountDownLatch(1);
        GradientClipper clipper = blocking(backend, entered, leave);
        Future<Double> call = threads.submit(() -> clipper.globalNorm());
        entered.await();
        Thread closer = new Thread(clipper::close);
        closer.start();
        while (closer.getState() != Thread.State.TIMED_WAITING) Thread.sleep(1);
        assertTrue(refusal(clipper::globalNorm).contains("closed"));
        leave.countDown();
        assertTrue(call.get() > 0);
        closer.join();
    }

    /** A thread ends within a call only by Thread.stop of old JVMs. */
    @ParameterizedTest
    @MethodSource("backends")
    void aThreadThatEndedInTheMiddleOfACallUsesTheClipperNoMore(TestBackend backend) throws Exception {
        Thread ended = new Thread(() -> {});
        ended.start();
        ended.join();
        Field user = GradientClipper.class.getDeclaredField("user");
        user.setAccessible(true);
        try (GradientClipper clipper = backend.clipper(Values.buffer(DType.FLOAT32, 3, 4))) {
            user.set(clipper, ended);
            assertEquals(5, clipper.globalNorm());
            user.set(clipper, ended);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void closedTwiceAndUsedAfterwards(TestBackend backend) {
        GradientClipper clipper = backend.clipper(Values.buffer(DType.FLOAT32, 3, 4));
        PreparedClip prepared = clipper.prepare(ClipRule.globalNorm(1));
        clipper.close();
        clipper.close();
        assertTrue(refusal(clipper::globalNorm).contains("closed"));
        assertTrue(refusal(prepared::run).contains("closed"));
        assertThrows(IllegalStateException.class, () -> clipper.rebind(new float[2]));
        assertEquals(List.of("tensor 0"), clipper.names());
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void anExecutorOnTheCallersThreadCannotReenterOrClose(TestBackend backend) {
        AtomicReference<GradientClipper> self = new AtomicReference<>();
        AtomicInteger refused = new AtomicInteger();
        Executor executor = task -> {
            GradientClipper clipper = Objects.requireNonNull(self.get());
            if (refusal(clipper::globalNorm).contains("in use")) refused.incrementAndGet();
            assertThrows(IllegalStateException.class, clipper::close);
            task.run();
        };
        try (GradientClipper clipper = backend.builder()
                .executor(executor, 2)
                .add(backend.place(large(1)))
                .build()) {
            self.set(clipper);
            assertTrue(clipper.globalNorm() > 0);
        }
        assertEquals(1, refused.get());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void twoClippersInParallelGiveTheBitsOfEach(TestBackend backend) throws Exception {
        double[] alone = new double[2];
        for (int i = 0; i < 2; i++) {
            try (GradientClipper clipper = backend.clipper(large(i))) {
                alone[i] = clipper.globalNorm();
            }
        }
        List<Future<Boolean>> done = IntStream.range(0, 2)
                .mapToObj(i -> threads.submit(() -> {
                    try (GradientClipper clipper = backend.builder()
                            .threads(3)
                            .add(backend.place(large(i)))
                            .build()) {
                        boolean same = true;
                        for (int k = 0; k < 30; k++) same &= clipper.globalNorm() == alone[i];
                        return same;
                    }
                }))
                .toList();
        for (Future<Boolean> same : done) assertTrue(same.get());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void manyClippersShareThePoolFromEightThreads(TestBackend backend) throws Exception {
        double[] values = Values.normal(9, 150_000, 1);
        HostBuffer expected = Values.buffer(DType.FLOAT32, values);
        double norm;
        try (GradientClipper clipper = backend.clipper(expected)) {
            norm = clipper.globalNorm();
            clipper.clipByGlobalNorm(1);
            clipper.clipByValue(0.001);
        }
        List<Future<?>> done = new java.util.ArrayList<>();
        for (int t = 0; t < 8; t++) {
            int helpers = 2 + t % 4;
            done.add(threads.submit(() -> {
                for (int i = 0; i < 12; i++) {
                    HostBuffer buffer = Values.buffer(DType.FLOAT32, values);
                    try (GradientClipper clipper = backend.builder()
                            .threads(helpers)
                            .add(backend.place(buffer))
                            .build()) {
                        assertEquals(norm, clipper.clipByGlobalNorm(1).globalNorm());
                        clipper.clipByValue(0.001);
                    }
                    assertArrayEquals(Values.bits(expected), Values.bits(buffer));
                }
            }));
        }
        for (Future<?> future : done) future.get();
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void executorsOfEveryTemperGiveTheSameBits(TestBackend backend) {
        HostBuffer reference = large(4);
        double norm;
        try (GradientClipper clipper = backend.clipper(reference)) {
            norm = clipper.clipByGlobalNorm(1).globalNorm();
        }
        AtomicInteger calls = new AtomicInteger();
        List<Executor> tempers = List.of(
                task -> {
                    throw new RejectedExecutionException("always");
                },
                task -> {
                    if (calls.incrementAndGet() % 3 != 0) throw new RejectedExecutionException("late");
                    threads.execute(task);
                },
                Runnable::run,
                task -> {},
                task -> {
                    threads.execute(task);
                    threads.execute(task);
                },
                task -> threads.execute(() -> {
                    Thread.onSpinWait();
                    task.run();
                    task.run();
                }));
        for (Executor executor : tempers) {
            HostBuffer buffer = large(4);
            try (GradientClipper clipper = backend.builder()
                    .executor(executor, 4)
                    .add(backend.place(buffer))
                    .build()) {
                for (int i = 0; i < 5; i++) assertEquals(norm, clipper.globalNorm());
                assertEquals(norm, clipper.clipByGlobalNorm(1).globalNorm());
            }
            assertArrayEquals(Values.bits(reference), Values.bits(buffer));
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void anExecutorThatThrowsLeavesTheClipperUsable(TestBackend backend) {
        AtomicInteger calls = new AtomicInteger();
        Executor executor = task -> {
            if (calls.incrementAndGet() == 2) throw new UnsupportedOperationException("not today");
            threads.execute(task);
        };
        HostBuffer buffer = large(5);
        double norm;
        try (GradientClipper clipper = backend.clipper(large(5))) {
            norm = clipper.globalNorm();
        }
        try (GradientClipper clipper = backend.builder()
                .executor(executor, 3)
                .add(backend.place(buffer))
                .build()) {
            assertThrows(UnsupportedOperationException.class, clipper::globalNorm);
            for (int i = 0; i < 10; i++) assertEquals(norm, clipper.globalNorm());
        }
    }

    /** Tasks that a stuck executor runs long after the clip, or after the clipper was closed, do nothing. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void tasksThatComeTooLateDoNothing(TestBackend backend) {
        List<Runnable> late = new java.util.ArrayList<>();
        HostBuffer buffer = large(6);
        try (GradientClipper clipper = backend.builder()
                .executor(late::add, 4)
                .add(backend.place(buffer))
                .build()) {
            double norm = clipper.globalNorm();
            late.forEach(Runnable::run);
            assertEquals(norm, clipper.clipByGlobalNorm(1).globalNorm());
        }
        long[] bits = Values.bits(buffer);
        assertFalse(late.isEmpty());
        late.forEach(Runnable::run);
        assertArrayEquals(bits, Values.bits(buffer));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void anInterruptedThreadStillClipsAndStaysInterrupted(TestBackend backend) throws Exception {
        try (GradientClipper clipper =
                backend.builder().threads(3).add(backend.place(large(7))).build()) {
            double norm = clipper.globalNorm();
            Future<Boolean> same = threads.submit(() -> {
                Thread.currentThread().interrupt();
                return clipper.globalNorm() == norm && Thread.interrupted();
            });
            try {
                assertTrue(same.get());
            } catch (ExecutionException e) {
                throw new AssertionError(e);
            }
        }
    }
}
