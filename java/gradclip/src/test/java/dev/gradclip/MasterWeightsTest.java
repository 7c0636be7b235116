// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** 16-bit weights that are rounded from master weights in FLOAT32. */
class MasterWeightsTest {
    private static final int[] LENGTHS = {1, 7, 255, 2048, 5000};

    @TempDir
    private Path folder = Path.of("");

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static final List<Update> UPDATES = List.of(
            Update.sgd(0.01),
            Update.sgd(0.01).withMomentum(0.9).withNesterov().withWeightDecay(0.01),
            Update.adam(1e-3).withWeightDecay(0.1),
            Update.adamW(1e-3).zeroingGradients());

    /** Tensors of weights of one type, with gradients in FLOAT32. */
    private static final class Model implements AutoCloseable {
        private final TestBackend backend;
        final List<HostBuffer> weights = new ArrayList<>();
        final GradientClipper clipper;

        Model(TestBackend backend, DType dtype, List<double[]> start) {
            this.backend = backend;
            GradientClipperBuilder builder = backend.builder();
            for (int i = 0; i < start.size(); i++) {
                weights.add(Values.buffer(dtype, start.get(i)));
                builder.declare("tensor " + i, DType.FLOAT32, start.get(i).length)
                        .weights(backend.place(weights.get(i)));
            }
            clipper = builder.build();
        }

        /** A step with other gradients, the second tensor's absent at first; one in four has a NaN and is skipped. */
        void step(Update update, int step) {
            List<HostBuffer> gradients = new ArrayList<>();
            for (int i = 0; i < weights.size(); i++) {
                double[] g = Values.normal(100L * step + i, (int) weights.get(i).length(), 1);
                if (i == 3 && step % 4 == 2) g[11] = Double.NaN;
                gradients.add(i == 1 && step < 2 ? null : Values.buffer(DType.FLOAT32, g));
            }
            clipper.rebind(backend.place(gradients));
            clipper.step(update, ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.SKIP));
        }

        @Override
        public void close() {
            clipper.close();
        }
    }

    /** What 16 bits hold, so that FLOAT32 holds it too. */
    private static List<double[]> start(DType dtype) {
        List<double[]> start = new ArrayList<>();
        for (int length : LENGTHS) start.add(Values.read(Values.buffer(dtype, Values.normal(length, length, 1))));
        return start;
    }

    /** The weights of the same steps in FLOAT32, rounded, are what there is at every step. */
    @ParameterizedTest
    @MethodSource("backends")
    void weightsAreThoseOfFloat32Rounded(TestBackend backend) {
        for (DType dtype : List.of(DType.FLOAT16, DType.BFLOAT16)) {
            for (Update update : UPDATES) {
                try (Model halves = new Model(backend, dtype, start(dtype));
                        Model floats =
                                new Model(TestBackend.all().findFirst().orElseThrow(), DType.FLOAT32, start(dtype))) {
                    for (int step = 0; step < 8; step++) {
                        halves.step(update.withMasterWeights(), step);
                        floats.step(update, step);
                        for (int i = 0; i < LENGTHS.length; i++) {
                            long[] rounded = Values.bits(Values.buffer(dtype, Values.read(floats.weights.get(i))));
                            int at = i;
                            assertArrayEquals(rounded, Values.bits(halves.weights.get(i)), () -> update + " " + at);
                        }
                    }
                    assertEquals(6, halves.clipper.state().steps());
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void smallStepsAddUp(TestBackend backend) {
        for (boolean masters : new boolean[] {false, true}) {
            HostBuffer weights = Values.buffer(DType.BFLOAT16, 1, 1);
            HostBuffer gradient = Values.buffer(DType.BFLOAT16, 1, -1);
            Update update = masters ? Update.sgd(1e-4).withMasterWeights() : Update.sgd(1e-4);
            try (GradientClipper clipper = backend.builder()
                    .add(backend.place(gradient))
                    .weights(backend.place(weights))
                    .build()) {
                for (int i = 0; i < 100; i++) clipper.step(update, ClipRule.globalNorm(10));
            }
            // BFLOAT16 has steps of 1/256 below 1, and of 1/128 above.
            double[] expected = masters ? new double[] {1 - 3 / 256.0, 1 + 1 / 128.0} : new double[] {1, 1};
            assertArrayEquals(expected, Values.read(weights));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aRestartGoesOnToTheBit(TestBackend backend) throws IOException {
        Path file = folder.resolve("state.safetensors");
        for (Update one : UPDATES) {
            Update update = one.withMasterWeights();
            try (Model whole = new Model(backend, DType.BFLOAT16, start(DType.BFLOAT16));
                    Model first = new Model(backend, DType.BFLOAT16, start(DType.BFLOAT16))) {
                for (int step = 0; step < 6; step++) whole.step(update, step);
                for (int step = 0; step < 2; step++) first.step(update, step);
                first.clipper.state().save(file);
                List<double[]> rounded =
                        first.weights.stream().map(Values::read).toList();
                try (Model second = new Model(backend, DType.BFLOAT16, rounded)) {
                    second.clipper.state().load(file);
                    for (int step = 2; step < 6; step++) second.step(update, step);
                    for (int i = 0; i < LENGTHS.length; i++) {
                        assertArrayEquals(
                                Values.bits(whole.weights.get(i)),
                                Values.bits(second.weights.get(i)),
                                update::toString);
                    }
                    // Weights that are not those of the state are overwritten by the next step.
                    try (Model copy = new Model(backend, DType.BFLOAT16, start(DType.BFLOAT16))) {
                        copy.clipper.state().copyFrom(second.clipper.state());
                        copy.step(update, 7);
                        second.step(update, 7);
                        for (int i = 0; i < LENGTHS.length; i++) {
                            assertArrayEquals(
                                    Values.bits(second.weights.get(i)),
                                    Values.bits(copy.weights.get(i)),
                                    update::toString);
                        }
                    }
                }
            }
        }
    }

    @Test
    void theFileHasThemBesideSixteenBitsOnly() throws IOException {
        Path file = folder.resolve("mixed.safetensors");
        try (GradientClipper clipper = GradientClipper.builder()
                .add("half", HostBuffer.allocate(DType.FLOAT16, 3))
                .weights(HostBuffer.allocate(DType.FLOAT16, 3))
                .add("single", HostBuffer.allocate(DType.FLOAT16, 3))
                .weights(HostBuffer.allocate(DType.FLOAT32, 3))
                .build()) {
            clipper.step(Update.adamW(0.1).withMasterWeights(), ClipRule.globalNorm(1));
            clipper.state().save(file);
            String text = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
            assertTrue(text.contains("\"half.master_weights\":{\"dtype\":\"F32\",\"shape\":[3]"), text);
            assertFalse(text.contains("single.master_weights"), text);
            clipper.state().load(file);
        }
    }

    @Test
    void stateWithAndWithoutThemDoNotMix() throws IOException {
        Path file = folder.resolve("plain.safetensors");
        for (boolean masters : new boolean[] {false, true}) {
            Update plain = Update.adam(0.1);
            Update update = masters ? plain.withMasterWeights() : plain;
            Update other = masters ? plain : plain.withMasterWeights();
            try (GradientClipper clipper = clipper();
                    GradientClipper another = clipper()) {
                clipper.step(update, ClipRule.globalNorm(1));
                clipper.state().save(file);
                another.step(other, ClipRule.globalNorm(1));
                String said = masters
                        ? "state of adam with master weights, which adam can't continue"
                        : "state of adam, which adam with master weights can't continue";
                for (IllegalArgumentException e : List.of(
                        assertThrows(IllegalArgumentException.class, () -> clipper.step(other, ClipRule.globalNorm(1))),
                        assertThrows(
                                IllegalArgumentException.class,
                                () -> clipper.state().copyFrom(another.state())))) {
                    assertTrue(String.valueOf(e.getMessage()).contains(said), e::toString);
                }
                assertThrows(
                        IllegalArgumentException.class, () -> another.state().load(file));
            }
        }
        assertTrue(Update.sgd(1).withMasterWeights().withMomentum(0.9).masterWeights());
        assertFalse(Arrays.asList(Update.sgd(1), Update.adam(1), Update.adamW(1)).stream()
                .anyMatch(Update::masterWeights));
    }

    private static GradientClipper clipper() {
        return GradientClipper.builder()
                .add("kernel", HostBuffer.allocate(DType.BFLOAT16, 4))
                .weights(HostBuffer.allocate(DType.BFLOAT16, 4))
                .build();
    }
}
