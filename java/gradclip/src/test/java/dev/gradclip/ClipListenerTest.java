// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Listeners receive every report in time, and nothing that they do harms a clip. */
class ClipListenerTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    static Stream<TestBackend> devices() {
        return TestBackend.onDevices();
    }

    private static HostBuffer threeFour() {
        return Values.buffer(DType.FLOAT32, 3, 4);
    }

    private static GradientClipper clipper(TestBackend backend, ClipListener listener, HostBuffer... buffers) {
        GradientClipperBuilder builder = backend.builder().listener(listener);
        for (HostBuffer buffer : buffers) builder.add(backend.place(buffer));
        return builder.build();
    }

    private static ClipEvent event(long step, double norm, double coefficient, boolean clipped) {
        return new ClipEvent(step, norm, coefficient, clipped, false, Map.of());
    }

    /** Without the rule, for tests of the figures. */
    private static ClipEvent figures(ClipEvent event) {
        return new ClipEvent(
                event.step(),
                event.globalNorm(),
                event.coefficient(),
                event.clipped(),
                event.nonFinite(),
                event.groupNorms());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void hearsWhatResultsSay(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        try (GradientClipper clipper = clipper(backend, heard::add, threeFour())) {
            assertEquals(5, clipper.globalNorm());
            assertEquals(List.of(), heard);
            ClipResult decided = clipper.decide(ClipRule.globalNorm(1));
            clipper.clipByGlobalNorm(10);
            ClipResult clipped = clipper.clipByGlobalNorm(1);
            clipper.clipWithNorm(1, 0.5);
            clipper.prepare(ClipRule.perTensorNorm(100)).run();
            clipper.clipByValue(0.1);
            assertEquals(6, heard.size());
            assertEquals(event(0, 5, decided.coefficient(), true), figures(heard.get(0)));
            assertEquals(event(1, 5, 1, false), figures(heard.get(1)));
            assertEquals(event(2, 5, clipped.coefficient(), true), figures(heard.get(2)));
            assertEquals(event(3, 0.5, 1, false), figures(heard.get(3)));
            assertTrue(heard.get(4).step() == 4 && Double.isNaN(heard.get(4).coefficient()));
            assertEquals(new ClipEvent(5, Double.NaN, Double.NaN, true, false, Map.of()), figures(heard.get(5)));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyEventHasItsRule(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        NormRule strict = ClipRule.globalNorm(2).withNonFinitePolicy(NonFinitePolicy.ERROR);
        try (GradientClipper clipper = clipper(backend, heard::add, Values.buffer(DType.FLOAT32, 3, Double.NaN))) {
            assertThrows(NonFiniteGradientException.class, () -> clipper.clip(strict));
            clipper.clipByValue(0.5);
            clipper.decide(ClipRule.globalNorm(3));
            clipper.clipWithNorm(4, 5);
        }
        assertEquals(
                List.of(strict, ClipRule.value(0.5), ClipRule.globalNorm(3), ClipRule.globalNorm(4)),
                heard.stream().map(ClipEvent::rule).toList());
    }

    @Test
    void thresholdIsWhatTheGlobalNormIsComparedWith() {
        assertEquals(2, threshold(ClipRule.globalNorm(2)));
        assertEquals(3, threshold(ClipRule.normalizeAbove(3, 1)));
        assertEquals(Double.POSITIVE_INFINITY, threshold(ClipRule.globalNorm(Double.POSITIVE_INFINITY)));
        for (ClipRule other : List.of(
                ClipRule.perTensorNorm(2),
                ClipRule.averageNorm(2).withScope(Scope.ALL),
                ClipRule.blockRms(2),
                ClipRule.adaptive(0.01),
                ClipRule.value(2))) {
            assertEquals(Double.NaN, threshold(other), other.toString());
        }
        assertEquals(Double.NaN, event(0, 1, 1, false).threshold());
    }

    private static double threshold(ClipRule rule) {
        return new ClipEvent(0, 5, 1, false, false, Map.of(), Map.of(), rule).threshold();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void tensorNormsForAListenerThatAsks(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        List<Long> asked = new ArrayList<>();
        ClipListener listener = new ClipListener() {
            @Override
            public void onClip(ClipEvent event) {
                heard.add(event);
            }

            @Override
            public boolean wantsTensorNorms(long step) {
                asked.add(step);
                return step % 2 == 0;
            }
        };
        GradientClipperBuilder builder = backend.builder().listener(listener.andThen(event -> {}));
        builder.add("zulu", backend.place(threeFour()))
                .add("rows", backend.place(Values.buffer(DType.FLOAT64, 5, 12)))
                .rows(2)
                .add("none", backend.place(Values.buffer(DType.FLOAT32)))
                .declare("absent", DType.FLOAT32, 3);
        try (GradientClipper clipper = builder.build()) {
            double rows = clipper.clipByGlobalNorm(100).tensorNorm(1);
            clipper.clipByGlobalNorm(100);
            clipper.decide(ClipRule.globalNorm(1));
            clipper.clipByValue(100);
            clipper.clipWithNorm(100, 1);
            assertEquals(13, rows, "still readable for the caller");
        }
        assertEquals(List.of(0L, 1L, 2L), asked, "only where norms are measured");
        Map<String, Double> norms = Map.of("zulu", 5.0, "rows", 13.0, "none", 0.0, "absent", 0.0);
        assertEquals(
                List.of(norms, Map.of(), norms, Map.of(), Map.of()),
                heard.stream().map(ClipEvent::tensorNorms).toList());
        assertEquals(
                List.of("zulu", "rows", "none", "absent"),
                List.copyOf(heard.get(0).tensorNorms().keySet()));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aListenerThatFailsToAnswerWantsNone(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        ClipListener failing = new ClipListener() {
            @Override
            public void onClip(ClipEvent event) {
                heard.add(event);
            }

            @Override
            public boolean wantsTensorNorms(long step) {
                throw new IllegalStateException("a listener's own fault");
            }
        };
        try (GradientClipper clipper = clipper(backend, failing, threeFour())) {
            assertTrue(clipper.clipByGlobalNorm(1).clipped());
        }
        assertEquals(Map.of(), heard.get(0).tensorNorms());
    }

    /** The documented way to gather norms is a clip that changes nothing; a norm alone would be counted twice. */
    @ParameterizedTest
    @MethodSource("backends")
    void anInfiniteThresholdIsToldAndANormAloneIsNot(TestBackend backend) {
        NormHistory history = new NormHistory(4);
        GradientClipperBuilder builder = backend.builder().listener(history).group("all");
        try (GradientClipper clipper = builder.add(backend.place(threeFour())).build()) {
            clipper.globalNorm();
            clipper.globalNorm(NormType.L1);
            clipper.measure("all");
            assertEquals(0, history.size());
            ClipResult result = clipper.clip(ClipRule.globalNorm(Double.POSITIVE_INFINITY));
            assertFalse(result.clipped());
            assertEquals(List.of(5.0), Arrays.stream(history.norms()).boxed().toList());
            assertEquals(5, clipper.globalNorm(), "unchanged");
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void groupNorms(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        GradientClipperBuilder builder = backend.builder().listener(heard::add);
        builder.group("zulu").add(backend.place(threeFour()));
        builder.group("alpha").add(backend.place(Values.buffer(DType.FLOAT64, 12)));
        try (GradientClipper clipper = builder.build()) {
            clipper.clipByGlobalNorm(100);
            assertEquals(13, heard.get(0).globalNorm());
            assertEquals(Map.of("zulu", 5.0, "alpha", 12.0), heard.get(0).groupNorms());
            assertEquals(
                    List.of("zulu", "alpha"),
                    List.copyOf(heard.get(0).groupNorms().keySet()));
            clipper.measure("zulu");
            clipper.measure("alpha");
            ClipResult applied = clipper.apply(ClipRule.globalNorm(1));
            assertEquals(Map.of("zulu", 5.0, "alpha", 12.0), heard.get(1).groupNorms());
            // Reading the norms for the listener leaves them readable for the caller.
            assertEquals(12, applied.groupNorm("alpha"));
            clipper.clipByValue(1);
            clipper.clipWithNorm(1, 0.5);
            assertEquals(Map.of(), heard.get(2).groupNorms());
            assertEquals(Map.of(), heard.get(3).groupNorms());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void nonFinite(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        try (GradientClipper clipper = clipper(backend, heard::add, Values.buffer(DType.FLOAT32, 1, Double.NaN))) {
            NormRule rule = ClipRule.globalNorm(1);
            assertThrows(
                    NonFiniteGradientException.class,
                    () -> clipper.clip(rule.withNonFinitePolicy(NonFinitePolicy.ERROR)));
            assertEquals(new ClipEvent(0, Double.NaN, 1, false, true, Map.of()), figures(heard.get(0)));
            clipper.clip(rule.withNonFinitePolicy(NonFinitePolicy.SKIP));
            assertEquals(new ClipEvent(1, Double.NaN, 1, false, true, Map.of()), figures(heard.get(1)));
            clipper.clip(rule.withNonFinitePolicy(NonFinitePolicy.ZERO));
            assertTrue(heard.get(2).nonFinite() && heard.get(2).globalNorm() == 1);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void failingListenerHarmsNothing(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        ClipListener failing = event -> {
            heard.add(event);
            throw new IllegalArgumentException("a listener's own fault");
        };
        HostBuffer gradient = threeFour();
        GradientBuffer placed = backend.place(gradient);
        try (GradientClipper clipper =
                backend.builder().listener(failing).add(placed).build()) {
            double coefficient = clipper.clipByGlobalNorm(1).coefficient();
            assertEquals(1 / (5 + 1e-6), coefficient);
            assertEquals(1, clipper.globalNorm(), 1e-6);
            clipper.clipByGlobalNorm(0.5);
            assertEquals(0.5, clipper.globalNorm(), 1e-6);
            assertEquals(2, heard.size());
        }
    }

    /** A listener's Error passes to the caller after the gradients are clipped, and the clipper stays usable. */
    @ParameterizedTest
    @MethodSource("backends")
    void errorsPassAfterTheClip(TestBackend backend) {
        ClipListener failing = event -> {
            if (event.step() == 0) throw new AssertionError("stop");
        };
        try (GradientClipper clipper = clipper(backend, failing, threeFour())) {
            assertThrows(AssertionError.class, () -> clipper.clipByGlobalNorm(1));
            assertEquals(1, clipper.globalNorm(), 1e-6);
            assertTrue(clipper.clipByGlobalNorm(0.5).clipped());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void clipperIsInUseMeanwhile(TestBackend backend) {
        List<RuntimeException> thrown = new ArrayList<>();
        GradientClipper[] self = new GradientClipper[1];
        ClipListener calling =
                event -> thrown.add(assertThrows(IllegalStateException.class, () -> self[0].globalNorm()));
        try (GradientClipper clipper = clipper(backend, calling, threeFour())) {
            self[0] = clipper;
            clipper.clipByGlobalNorm(1);
            assertEquals(1, thrown.size());
            assertTrue(String.valueOf(thrown.get(0).getMessage()).contains("in use"));
            assertEquals(1, clipper.globalNorm(), 1e-6);
        }
    }

    @Tag("emulated")
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void enqueuedClipsAreHeardOfWhenTheyAreDoneAndNobodyWaits(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        try (CudaStream stream = CudaStream.create();
                GradientClipper clipper = clipper(backend, heard::add, threeFour())) {
            ClipResult first = clipper.clipByGlobalNormAsync(1, stream);
            ClipResult second = clipper.clipByGlobalNormAsync(0.5, stream);
            clipper.poll();
            // The emulated device does nothing until somebody waits.
            assertFalse(first.isComplete());
            assertEquals(List.of(), heard);
            stream.synchronize();
            assertEquals(List.of(), heard);
            clipper.poll();
            assertEquals(2, heard.size());
            assertEquals(event(0, 5, first.coefficient(), true), figures(heard.get(0)));
            assertEquals(event(1, second.globalNorm(), second.coefficient(), true), figures(heard.get(1)));
            clipper.clipByGlobalNormAsync(0.4, stream);
            // A clip that waits first reports those before it.
            clipper.clipByGlobalNorm(0.3);
            assertEquals(
                    List.of(0L, 1L, 2L, 3L), heard.stream().map(ClipEvent::step).toList());
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void closingTellsTheRest(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        try (CudaStream stream = CudaStream.create()) {
            GradientClipper clipper = clipper(backend, heard::add, threeFour());
            clipper.clipByGlobalNormAsync(1, stream);
            assertEquals(0, heard.size());
            clipper.close();
            assertEquals(1, heard.size());
            assertEquals(5, heard.get(0).globalNorm());
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void enqueuedAndRefused(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        ClipRule rule = ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ERROR);
        try (CudaStream stream = CudaStream.create();
                GradientClipper clipper = clipper(backend, heard::add, Values.buffer(DType.FLOAT32, 1, Double.NaN))) {
            ClipResult result = clipper.clipAsync(rule, stream);
            stream.synchronize();
            clipper.poll();
            assertEquals(List.of(new ClipEvent(0, Double.NaN, 1, false, true, Map.of(), Map.of(), rule)), heard);
            assertThrows(NonFiniteGradientException.class, result::globalNorm);
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void moreThanADeviceKeeps(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        try (CudaStream stream = CudaStream.create();
                GradientClipper clipper = clipper(backend, heard::add, threeFour())) {
            for (int i = 0; i < 600; i++) clipper.clipByGlobalNormAsync(1, stream);
            stream.synchronize();
            clipper.poll();
            long before = -1;
            for (ClipEvent event : heard) {
                assertTrue(event.step() > before, "out of order");
                before = event.step();
            }
            assertEquals(599, before);
            assertTrue(heard.size() >= 256, heard.size() + " of the 256 that the device keeps");
        }
    }

    @Test
    void joined() {
        List<String> order = new ArrayList<>();
        ClipListener first = event -> order.add("first");
        ClipListener both = first.andThen(event -> order.add("second"));
        both.onClip(event(0, 1, 1, false));
        assertEquals(List.of("first", "second"), order);
    }

    @Test
    void resultIsTheOneWithoutAListener() {
        float[] some = {3, 4};
        try (GradientClipper clipper = GradientClipper.builder()
                .add(HostBuffer.wrap(some))
                .listener(event -> {})
                .build()) {
            ClipResult result = clipper.clipByGlobalNorm(1);
            assertEquals(5, result.globalNorm());
            assertTrue(result.isComplete());
            assertEquals(5, result.tensorNorm(0));
        }
    }

    /** Kotlin and Scala let listeners throw checked exceptions. */
    @ParameterizedTest
    @MethodSource("backends")
    void aCheckedExceptionIsAsAnUncheckedOne(TestBackend backend) {
        List<ClipEvent> heard = new ArrayList<>();
        ClipListener faulty = event -> {
            heard.add(event);
            ClipListenerTest.<RuntimeException>throwAsIs(new IOException("disk full"));
        };
        try (GradientClipper clipper = clipper(backend, faulty, threeFour())) {
            assertTrue(clipper.clipByGlobalNorm(1).clipped());
            assertFalse(clipper.clipByGlobalNorm(10).clipped());
        }
        assertEquals(2, heard.size());
    }

    @SuppressWarnings("unchecked")
    private static <E extends Throwable> void throwAsIs(Throwable thrown) throws E {
        throw (E) thrown;
    }

    /** The first closer reports to a listener as it closes. */
    @ParameterizedTest
    @MethodSource("devices")
    void aSecondCloserReturnsOnlyWhenTheClipperIsClosed(TestBackend backend) throws InterruptedException {
        CountDownLatch closing = new CountDownLatch(1);
        CountDownLatch go = new CountDownLatch(1);
        AtomicBoolean closed = new AtomicBoolean();
        GradientClipper clipper = clipper(
                backend,
                event -> {
                    closing.countDown();
                    try {
                        go.await();
                        Thread.sleep(20);
                    } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                    }
                    closed.set(true);
                },
                threeFour());
        clipper.clipByGlobalNormAsync(1, CudaStream.DEFAULT);
        Thread first = new Thread(clipper::close);
        first.start();
        closing.await();
        go.countDown();
        clipper.close();
        assertTrue(closed.get());
        first.join();
    }
}
