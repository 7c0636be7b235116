// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Value clipping: the elements it writes, leaves and counts. */
class ClampTest {
    private static final double INF = Double.POSITIVE_INFINITY;
    private static final double[][] LIMITS = {
        {-1, 1},
        {-0.0, 0.0},
        {0.0, 0.0},
        {-2, 0.5},
        {0.25, 3},
        {-3, -0.25},
        {-INF, 1},
        {-1, INF},
        {-INF, INF},
        {INF, INF},
        {-1e300, 1e300},
        {-1e-50, 1e-50},
        {-1.0006, 1.0006},
        {-65519, 65519},
        {-65520, 65520},
        {-70_000, 70_000},
        {70_000, 80_000},
        {-0x1.ffp127, 0x1.fefp127},
        {-1e39, 3.5e38},
        {-INF, -1e300},
        {0x1p-24, 0x1p-14},
        {Float.MIN_VALUE, Float.MIN_NORMAL},
        {Double.MIN_VALUE, Double.MIN_NORMAL},
        {0.1, 0.1}
    };

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyElementIsTheClampedOneAndChangesAreCounted(TestBackend backend) {
        for (DType dtype : DType.values()) {
            for (double[] limits : LIMITS) {
                HostBuffer buffer = ScaleTest.allKinds(dtype, 5);
                double[] before = Values.read(buffer);
                long[] expected = Values.bits(buffer);
                long changed = 0;
                for (int i = 0; i < before.length; i++) {
                    double y = Rounding.clamped(dtype, before[i], limits[0], limits[1]);
                    if (Double.isNaN(before[i]) || Double.compare(y, before[i]) == 0) continue;
                    changed++;
                    expected[i] = Rounding.bits(dtype, y);
                }
                String what = dtype + " to " + limits[0] + ", " + limits[1];
                try (GradientClipper clipper = backend.clipper(buffer)) {
                    ClipResult result = clipper.clipByValue(limits[0], limits[1]);
                    assertEquals(changed, result.elementsChanged(), what);
                    assertEquals(changed > 0, result.clipped(), what);
                    assertFalse(result.nonFinite());
                    assertArrayEquals(expected, Values.bits(buffer), what);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void clampingAgainChangesNothing(TestBackend backend) {
        for (DType dtype : DType.values()) {
            for (double[] limits : LIMITS) {
                HostBuffer buffer = ScaleTest.allKinds(dtype, 6);
                try (GradientClipper clipper = backend.clipper(buffer)) {
                    clipper.clipByValue(limits[0], limits[1]);
                    ClipResult again = clipper.clipByValue(limits[0], limits[1]);
                    assertEquals(0, again.elementsChanged(), () -> dtype + " to " + limits[0] + ", " + limits[1]);
                    assertFalse(again.clipped());
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyKindOfMemoryAndLength(TestBackend backend) {
        for (DType dtype : DType.values()) {
            for (int n : NormContractTest.SIZES) {
                if (n > 5000) continue;
                double[] values = Values.normal(n, n, 2);
                for (Values.Memory memory : Values.Memory.values()) {
                    HostBuffer buffer = Values.buffer(dtype, values, memory);
                    double[] before = Values.read(buffer);
                    long changed = 0;
                    double[] expected = new double[n];
                    for (int i = 0; i < n; i++) {
                        expected[i] = Rounding.clamped(dtype, before[i], -0.5, 1.25);
                        if (expected[i] != before[i]) changed++;
                    }
                    try (GradientClipper clipper = backend.clipper(buffer)) {
                        assertEquals(changed, clipper.clipByValue(-0.5, 1.25).elementsChanged());
                    }
                    assertArrayEquals(expected, Values.read(buffer), () -> dtype + " " + n + " " + memory);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aNegativeZeroWithinTheLimitsStays(TestBackend backend) {
        for (DType dtype : DType.values()) {
            HostBuffer buffer = Values.buffer(dtype, -0.0, 0.0, -0.0);
            long[] before = Values.bits(buffer);
            try (GradientClipper clipper = backend.clipper(buffer)) {
                assertEquals(0, clipper.clipByValue(0).elementsChanged());
                assertEquals(0, clipper.clipByValue(0.0, 1).elementsChanged());
                assertEquals(0, clipper.clipByValue(-1, -0.0).elementsChanged());
            }
            assertArrayEquals(before, Values.bits(buffer));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void infinitiesClampAndNaNStays(TestBackend backend) {
        for (DType dtype : DType.values()) {
            HostBuffer buffer = Values.buffer(dtype, INF, Double.NaN, -INF, 0.5);
            try (GradientClipper clipper = backend.clipper(buffer)) {
                assertEquals(2, clipper.clipByValue(1).elementsChanged());
            }
            assertArrayEquals(new double[] {1, Double.NaN, -1, 0.5}, Values.read(buffer));
        }
    }

    static final double[][] LIMITS_AROUND_ZERO = {{0, 1}, {-1, 0}, {-0.0, 1}, {0, 0}, {-1, 1}, {0.5, 1}, {-1, -0.5}};

    /** The limits may include 0, exclude it, or be 0 themselves. */
    @ParameterizedTest
    @MethodSource("backends")
    void whatIsZeroedCountsOnce(TestBackend backend) {
        for (double[] limits : LIMITS_AROUND_ZERO) {
            ClipRule rule = ClipRule.value(limits[0], limits[1]).withNonFinitePolicy(NonFinitePolicy.ZERO);
            for (DType dtype : DType.values()) {
                HostBuffer buffer = Values.buffer(dtype, Double.NaN, INF, -INF);
                try (GradientClipper clipper = backend.clipper(buffer)) {
                    assertEquals(3, clipper.clip(rule).elementsChanged(), dtype + " " + rule);
                }
                double now = Math.min(Math.max(0, limits[0]), limits[1]);
                for (double x : Values.read(buffer)) assertTrue(x == now, dtype + " " + rule + ": " + x);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void countsAddUpOverThreadsAndTensors(TestBackend backend) {
        GradientClipperBuilder builder = backend.builder().threads(4);
        long expected = 0;
        for (int t = 0; t < 30; t++) {
            double[] values = Values.normal(t, 40_000, 1);
            HostBuffer buffer = Values.buffer(DType.values()[t % 4], values);
            for (double x : Values.read(buffer)) if (Math.abs(x) > 1) expected++;
            builder.add(backend.place(buffer));
        }
        try (GradientClipper clipper = builder.build()) {
            assertEquals(expected, clipper.clipByValue(1).elementsChanged());
        }
    }
}
