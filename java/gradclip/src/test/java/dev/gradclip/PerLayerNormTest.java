// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Thresholds by layer, beside Optax' formulas worked out in double. */
class PerLayerNormTest {
    private static final int SAMPLES = 5;

    /** Elements of one sample in each layer. */
    private static final int[] LENGTHS = {300, 7, 1, 0, 2100};

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static double norm(double[] values, int row, int length) {
        double sum = 0;
        for (int i = row * length; i < (row + 1) * length; i++) sum += values[i] * values[i];
        return Math.sqrt(sum);
    }

    private static GradientClipper clipper(TestBackend backend, List<double[]> values, DType... types) {
        GradientClipperBuilder builder = backend.builder();
        for (int i = 0; i < LENGTHS.length; i++) {
            double[] drawn = Values.normal(i, SAMPLES * LENGTHS[i], i == 1 ? 0.1 : 1);
            HostBuffer buffer = Values.buffer(types[i % types.length], drawn);
            values.add(Values.read(buffer));
            builder.add("layer" + i, backend.place(buffer)).rows(SAMPLES);
        }
        return builder.build();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void isOptaxs(TestBackend backend) {
        double total = 0;
        for (int length : LENGTHS) total += length;
        double c = 30;
        for (boolean uniform : new boolean[] {true, false}) {
            List<double[]> values = new ArrayList<>();
            try (GradientClipper clipper = clipper(backend, values, DType.FLOAT64, DType.FLOAT32)) {
                ClipResult result = clipper.clip(uniform ? clipper.perLayerNorm(c) : clipper.perLayerNormBySize(c));
                int clipped = 0;
                for (int i = 0; i < LENGTHS.length; i++) {
                    double share = uniform ? 1.0 / LENGTHS.length : LENGTHS[i] / total;
                    double threshold = c * Math.sqrt(share);
                    for (int s = 0; s < SAMPLES; s++) {
                        double n = norm(values.get(i), s, LENGTHS[i]);
                        double want = n == 0 ? 1 : Math.min(threshold / n, 1);
                        if (want < 1) clipped++;
                        // Squares of FLOAT32 are added up in float.
                        assertEquals(want, result.rowCoefficient(i, s), 1e-6 * want, "layer " + i + " sample " + s);
                        if (i % 2 == 0) assertEquals(want, result.rowCoefficient(i, s), 1e-14 * want);
                    }
                }
                assertTrue(clipped > 0 && clipped < SAMPLES * LENGTHS.length, clipped + " clipped");
            }
        }
    }

    /** No sample's norm over all layers is above the one given, and a large one reaches it. */
    @ParameterizedTest
    @MethodSource("backends")
    void aSampleKeepsToTheNormOverAll(TestBackend backend) {
        for (boolean uniform : new boolean[] {true, false}) {
            try (GradientClipper clipper = clipper(backend, new ArrayList<>(), DType.FLOAT64)) {
                clipper.clip(uniform ? clipper.perLayerNorm(1e-6) : clipper.perLayerNormBySize(1e-6));
                ClipResult after = clipper.decide(ClipRule.globalNorm(Double.POSITIVE_INFINITY));
                for (int s = 0; s < SAMPLES; s++) {
                    double squares = 0;
                    for (int i = 0; i < LENGTHS.length; i++) squares += Math.pow(after.rowNorm(i, s), 2);
                    // The empty layer has a share of the uniform threshold, which it can't use.
                    assertEquals(1e-6 * Math.sqrt(uniform ? 4 / 5.0 : 1), Math.sqrt(squares), 1e-18);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void numbersThatAreNoThreshold(TestBackend backend) {
        try (GradientClipper clipper = clipper(backend, new ArrayList<>(), DType.FLOAT64)) {
            for (double wrong : new double[] {-1, Double.NaN}) {
                assertThrows(IllegalArgumentException.class, () -> clipper.perLayerNorm(wrong));
                assertThrows(IllegalArgumentException.class, () -> clipper.perLayerNormBySize(wrong));
            }
            assertTrue(clipper.perLayerNorm(Double.POSITIVE_INFINITY).onlyMeasures());
            assertTrue(clipper.perLayerNormBySize(Double.POSITIVE_INFINITY).onlyMeasures());
        }
    }
}
