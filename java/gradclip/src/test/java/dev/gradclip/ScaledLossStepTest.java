// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Steps with gradients of a scaled loss: where none overflows they leave the bits of steps without scaling, for scales
 * are powers of two; where one overflows nothing moves.
 */
class ScaledLossStepTest {
    private static final DType[] GRADIENTS = {DType.FLOAT16, DType.FLOAT32, DType.FLOAT64, DType.FLOAT16};
    private static final DType[] WEIGHTS = {DType.FLOAT32, DType.BFLOAT16, DType.FLOAT64, DType.FLOAT16};
    private static final int LENGTH = 1200;

    @TempDir
    private Path folder = Path.of("");

    /** Tensors with weights, and the clipper that updates them. */
    private static final class Model implements AutoCloseable {
        final TestBackend backend;
        final List<HostBuffer> weights = new ArrayList<>();
        final GradientClipper clipper;

        Model(TestBackend backend) {
            this.backend = backend;
            GradientClipperBuilder builder = backend.builder();
            for (int i = 0; i < GRADIENTS.length; i++) {
                weights.add(Values.buffer(WEIGHTS[i], Values.normal(i, LENGTH, 1)));
                builder.declare("tensor " + i, GRADIENTS[i], LENGTH).rows(4).weights(backend.place(weights.get(i)));
            }
            clipper = builder.build();
        }

        /** Binds gradients that FLOAT16 holds exactly at each scale of the test, but for {@code largest}. */
        void bind(int step, double scale, double largest) {
            List<HostBuffer> gradients = new ArrayList<>();
            Random random = new Random(step);
            for (DType dtype : GRADIENTS) {
                double[] g = new double[LENGTH];
                for (int i = 0; i < LENGTH; i++) g[i] = (random.nextInt(401) - 200) / 64.0 * scale;
                g[LENGTH / 3] = largest * scale;
                gradients.add(Values.buffer(dtype, g));
            }
            clipper.rebind(backend.place(gradients));
        }

        List<long[]> bits() {
            return weights.stream().map(Values::bits).toList();
        }

        @Override
        public void close() {
            clipper.close();
        }
    }

    private byte[] stateOf(Model model) throws IOException {
        Path file = folder.resolve("state.safetensors");
        model.clipper.state().save(file);
        return Files.readAllBytes(file);
    }

    private static void assertSame(List<long[]> want, List<long[]> found, Object what) {
        for (int i = 0; i < want.size(); i++) assertArrayEquals(want.get(i), found.get(i), what::toString);
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void scaledStepsHaveTheBitsOfStepsWithoutScaling(TestBackend backend) throws IOException {
        List<Update> updates =
                List.of(Update.sgd(0.1), Update.sgd(0.1).withMomentum(0.9).withWeightDecay(0.01), Update.adamW(0.01));
        List<ClipRule> rules =
                List.of(ClipRule.globalNorm(1), ClipRule.globalNorm(1e9), ClipRule.perRowNorm(1), ClipRule.value(0.5));
        for (Update update : updates) {
            for (ClipRule rule : rules) train(backend, update, rule);
        }
    }

    private void train(TestBackend backend, Update update, ClipRule rule) throws IOException {
        DynamicLossScaler scaler = new DynamicLossScaler(16384, 2, 0.5, 3);
        int skipped = 0;
        try (Model scaled = new Model(backend);
                Model plain = new Model(backend)) {
            for (int step = 0; step < 12; step++) {
                double scale = scaler.scale();
                double largest = step % 2 == 1 ? 5 : 3;
                // FLOAT16 ends at 65504: 5 · 16384 is infinite there, 5 · 8192 is not.
                boolean overflows = largest * scale > 65504;
                String what = "step " + step + ", " + update + ", " + rule;
                List<long[]> before = scaled.bits();
                byte[] stateBefore = step == 0 ? new byte[0] : stateOf(scaled);
                scaled.bind(step, scale, largest);
                ClipRule unscaling = scaler.unscaling(rule);
                ClipResult found = step % 3 == 0
                        ? scaled.clipper.step(update, unscaling)
                        : scaled.clipper.stepAsync(update, unscaling, CudaStream.DEFAULT);
                assertEquals(overflows, found.nonFinite(), what);
                assertEquals(!overflows, scaler.update(found), what);
                if (overflows) {
                    skipped++;
                    assertEquals(scale / 2, scaler.scale(), what);
                    assertSame(before, scaled.bits(), what);
                    assertArrayEquals(stateBefore, stateOf(scaled), what);
                    continue;
                }
                plain.bind(step, 1, largest);
                ClipResult want = plain.clipper.step(update, rule);
                assertEquals(want.globalNorm(), found.globalNorm(), what);
                assertEquals(want.clipped(), found.clipped(), what);
                assertSame(plain.bits(), scaled.bits(), what);
                assertArrayEquals(stateOf(plain), stateOf(scaled), what);
            }
            assertTrue(skipped >= 2, "some steps overflow");
            assertEquals(12 - skipped, scaled.clipper.state().steps());
        }
    }
}
