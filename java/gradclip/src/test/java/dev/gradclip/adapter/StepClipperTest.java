// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.adapter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.ClipEvent;
import dev.gradclip.ClipListener;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;
import dev.gradclip.Update;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Steps that each bring other tensors. */
class StepClipperTest {
    private final List<String> names = List.of("a", "b");

    private static List<@Nullable HostBuffer> buffers(@Nullable HostBuffer... buffers) {
        return Arrays.asList(buffers);
    }

    private static HostBuffer ones(int length) {
        float[] array = new float[length];
        Arrays.fill(array, 1);
        return HostBuffer.wrap(array);
    }

    @Test
    void theSameShapesKeepTheClipper() {
        try (StepClipper binding = new StepClipper()) {
            GradientClipper first = binding.bind(names, buffers(ones(4), ones(5)));
            assertEquals(3, first.globalNorm());
            GradientClipper second = binding.bind(names, buffers(null, ones(5)));
            assertSame(first, second);
            assertEquals(Math.sqrt(5), second.globalNorm());
            assertSame(first, binding.bind(List.of("a", "b"), buffers(ones(4), ones(5))));
        }
    }

    @Test
    void otherLengthsTypesAndNamesMakeAnother() {
        HostBuffer doubles = HostBuffer.wrap(new double[] {3});
        try (StepClipper binding = new StepClipper()) {
            GradientClipper lengths = binding.bind(names, buffers(ones(4), ones(5)));
            GradientClipper types = binding.bind(names, buffers(ones(16), ones(9)));
            assertNotSame(lengths, types);
            assertEquals(5, types.globalNorm());
            GradientClipper others = binding.bind(names, buffers(ones(16), doubles));
            assertNotSame(types, others);
            assertEquals(5, others.globalNorm());
            GradientClipper renamed = binding.bind(List.of("a", "c"), buffers(ones(16), doubles));
            assertEquals(List.of("a", "c"), renamed.names());
            assertEquals(4, binding.bind(List.of("a"), buffers(ones(16))).globalNorm());
        }
    }

    /** A gradient that comes late or in another type makes another clipper, which goes on with the state. */
    @Test
    void theStateOfUpdatesOutlivesTheClipper() {
        HostBuffer first = ones(2);
        HostBuffer second = ones(3);
        List<HostBuffer> weights = List.of(first, second);
        Update update = Update.sgd(0.5).withMomentum(1);
        ClipRule rule = ClipRule.globalNorm(100);
        try (StepClipper binding = new StepClipper()) {
            GradientClipper clipper = binding.bind(names, buffers(ones(2), null), weights);
            clipper.step(update, rule);
            assertSame(clipper, binding.bind(names, buffers(null, ones(3)), weights));
            clipper.step(update, rule);
            HostBuffer doubles = HostBuffer.wrap(new double[] {1, 1});
            HostBuffer floats = HostBuffer.wrap(new double[] {0, 0, 0});
            assertThrows(
                    IllegalArgumentException.class,
                    () -> binding.bind(names, buffers(doubles, null), List.of(first, floats)));
            GradientClipper halves = binding.bind(names, buffers(half(2), null), weights);
            assertNotSame(clipper, halves);
            assertEquals(1, halves.state().steps("a"));
            halves.step(update, rule);
            // The second step has twice the momentum: 1 - 0.5 - 0.5 · 2.
            assertEquals(-0.5f, ((FloatBuffer) first.memory().get(0)).get(0));
            assertEquals(0.5f, ((FloatBuffer) second.memory().get(0)).get(2));
            assertEquals(2, halves.state().steps("a"));
            assertNotSame(halves, binding.bind(names, buffers(ones(2), null)));
        }
    }

    private static HostBuffer half(int length) {
        short[] ones = new short[length];
        Arrays.fill(ones, (short) 0x3c00);
        return HostBuffer.wrap(ones, DType.FLOAT16);
    }

    @Test
    void oneThatWasAbsentFromTheStartComesLater() {
        try (StepClipper binding = new StepClipper()) {
            assertEquals(0, binding.bind(names, buffers(null, null)).globalNorm());
            assertEquals(2, binding.bind(names, buffers(null, ones(4))).globalNorm());
            assertEquals(3, binding.bind(names, buffers(ones(5), ones(4))).globalNorm());
            assertEquals(
                    3,
                    binding.bind(names, buffers(ones(5), ones(4)))
                            .clipByGlobalNorm(1)
                            .globalNorm());
        }
    }

    @Test
    void whatIsRefusedLeavesTheBindingGood() {
        try (StepClipper binding = new StepClipper()) {
            HostBuffer one = ones(4);
            String said = String.valueOf(assertThrows(
                            IllegalArgumentException.class, () -> binding.bind(names, buffers(one, one)))
                    .getMessage());
            assertTrue(said.contains("a") && said.contains("b"), said);
            assertThrows(IllegalArgumentException.class, () -> binding.bind(names, buffers(one)));
            assertEquals(3, binding.bind(names, buffers(one, ones(5))).globalNorm());
        }
    }

    @Test
    void aClosedOneBindsAgain() {
        StepClipper binding = new StepClipper();
        GradientClipper first = binding.bind(names, buffers(ones(4), ones(5)));
        binding.close();
        assertThrows(IllegalStateException.class, first::globalNorm);
        assertEquals(2, binding.bind(names, buffers(ones(4), null)).globalNorm());
        binding.close();
    }

    @Test
    void tensorsInPieces() {
        try (StepClipper binding = new StepClipper()) {
            HostBuffer pieces = HostBuffer.ofPieces(ones(2048), ones(256));
            assertEquals(48, binding.bind(List.of("a"), buffers(pieces)).globalNorm());
            assertEquals(48, binding.bind(List.of("a"), buffers(ones(2304))).globalNorm());
        }
    }

    @Test
    void settingsReachEachClipperThatIsMade() {
        List<ClipEvent> heard = new ArrayList<>();
        List<Integer> made = new ArrayList<>();
        try (StepClipper binding = new StepClipper(GradientClipper::builder, settings -> {
                    settings.listener(heard::add).threads(1);
                    made.add(heard.size());
                })
                .tell(event -> new ClipEvent(event.step(), -event.globalNorm(), 1, true, false, Map.of()))) {
            assertEquals(List.of(0), made, "looked at once, before any work");
            binding.bind(names, buffers(ones(4), ones(5))).clipByGlobalNorm(1);
            binding.bind(names, buffers(ones(4), ones(5))).clipByGlobalNorm(1);
            binding.bind(names, buffers(ones(4), ones(12))).clipByGlobalNorm(1);
        }
        assertEquals(List.of(0, 0, 2), made);
        assertEquals(
                List.of(-3.0, -3.0, -4.0),
                heard.stream().map(ClipEvent::globalNorm).toList());
        assertEquals(List.of(0L, 1L, 0L), heard.stream().map(ClipEvent::step).toList());
    }

    @Test
    void aListenerMayAskForNormsOfTensors() {
        List<ClipEvent> heard = new ArrayList<>();
        ClipListener asking = new ClipListener() {
            @Override
            public void onClip(ClipEvent event) {
                heard.add(event);
            }

            @Override
            public boolean wantsTensorNorms(long step) {
                return true;
            }
        };
        try (StepClipper binding = new StepClipper(GradientClipper::builder, settings -> settings.listener(asking))) {
            binding.bind(names, buffers(ones(4), ones(9))).clipByGlobalNorm(1);
        }
        assertEquals(List.of(2.0, 3.0), List.copyOf(heard.get(0).tensorNorms().values()));
        assertEquals(names, List.copyOf(heard.get(0).tensorNorms().keySet()));
    }

    @Test
    void settingsComeAfterTheAdaptersOwn() {
        Executor refusing = task -> {
            throw new AssertionError("the adapter's executor");
        };
        AtomicInteger tasks = new AtomicInteger();
        HostBuffer much = ones(1 << 21);
        try (StepClipper binding = new StepClipper(
                () -> GradientClipper.builder().executor(refusing, 2),
                settings -> settings.executor(task -> tasks.incrementAndGet(), 2))) {
            assertEquals(
                    Math.sqrt(1 << 21),
                    binding.bind(List.of("a"), buffers(much)).globalNorm());
        }
        assertEquals(1, tasks.get(), "one helper was asked in one phase");
    }

    @Test
    void settingsThatCannotBe() {
        String threads = String.valueOf(assertThrows(
                        IllegalArgumentException.class,
                        () -> new StepClipper(GradientClipper::builder, settings -> settings.threads(0)))
                .getMessage());
        assertTrue(threads.contains("threads must be 1 or more"), threads);
        String tensors = String.valueOf(assertThrows(
                        IllegalArgumentException.class,
                        () -> new StepClipper(GradientClipper::builder, settings -> settings.add("mine", ones(1))))
                .getMessage());
        assertTrue(tensors.contains("'mine'") && tensors.contains("framework"), tensors);
    }

    @Test
    void rowsAreThoseOfTheStep() {
        HostBuffer gradient = HostBuffer.wrap(new float[] {3, 4, 6, 8});
        HostBuffer weights = HostBuffer.wrap(new float[] {1, 1, 1, 1});
        try (StepClipper clippers = new StepClipper()) {
            GradientClipper rows = clippers.bind(List.of("w"), List.of(gradient), List.of(weights), new int[] {2});
            assertEquals(10, rows.decide(ClipRule.globalNorm(1)).rowNorm(0, 1));
            assertSame(rows, clippers.bind(List.of("w"), List.of(gradient), List.of(weights), new int[] {2}));
            GradientClipper one = clippers.bind(List.of("w"), List.of(gradient), List.of(weights), new int[] {0});
            assertNotSame(rows, one);
            assertEquals(Math.sqrt(125), one.decide(ClipRule.globalNorm(1)).rowNorm(0, 0));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> clippers.bind(List.of("w"), List.of(gradient), List.of(weights), new int[] {3}));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> clippers.bind(List.of("w"), List.of(gradient), List.of(weights), new int[2]));
            assertSame(one, clippers.bind(List.of("w"), List.of(gradient), List.of(weights)));
        }
    }

    @Test
    void unitsLieAlongTheAxisOfTheStep() {
        HostBuffer gradient = HostBuffer.wrap(new float[] {3, 6, 4, 8});
        HostBuffer bias = HostBuffer.wrap(new float[] {1, 2});
        List<HostBuffer> gradients = List.of(gradient, bias);
        List<HostBuffer> weights =
                List.of(HostBuffer.wrap(new float[] {1, 1, 1, 1}), HostBuffer.wrap(new float[] {1, 1}));
        List<String> names = List.of("kernel", "bias");
        long[] matrix = {2, 2};
        List<long[]> shapes = List.of(matrix, new long[] {2});
        try (StepClipper clippers = new StepClipper()) {
            GradientClipper last = clippers.bind(names, gradients, weights, -1, shapes);
            ClipResult result = last.decide(ClipRule.globalNorm(1));
            assertEquals(5, result.rowNorm(0, 0));
            assertEquals(10, result.rowNorm(0, 1));
            assertEquals(Math.sqrt(5), result.rowNorm(1, 0));
            assertSame(last, clippers.bind(names, gradients, weights, -1, shapes));
            matrix[0] = 4;
            matrix[1] = 1;
            assertNotSame(last, clippers.bind(names, gradients, weights, -1, shapes));
            GradientClipper first = clippers.bind(names, gradients, weights, 0, shapes);
            assertEquals(3, first.decide(ClipRule.globalNorm(1)).rowNorm(0, 0));
            String said = String.valueOf(assertThrows(
                            IllegalArgumentException.class, () -> clippers.bind(names, gradients, weights, 2, shapes))
                    .getMessage());
            assertTrue(said.contains("kernel has the axes 0 to 1"), said);
            assertThrows(
                    IllegalArgumentException.class, () -> clippers.bind(names, gradients, weights, 0, List.of(matrix)));
        }
    }
}
