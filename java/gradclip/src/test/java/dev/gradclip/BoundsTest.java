// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The error of a norm stays within the bounds of docs/reduction.md whatever the elements are. */
@Tag("thorough")
class BoundsTest {
    private static final int SCALE = Integer.getInteger("thorough.scale", 1);

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    /** Equal elements round alike in every lane: nothing cancels. */
    @ParameterizedTest
    @MethodSource("backends")
    void constantsWhoseRoundingErrorsAllPointOneWay(TestBackend backend) {
        Random random = new Random(20);
        int rounds = backend.onDevice() ? 40 : 400;
        for (int i = 0; i < rounds * SCALE; i++) {
            for (DType dtype : DType.values()) {
                int n = 1 + random.nextInt(5 * 8192 / dtype.bytes());
                double x = (1 + random.nextDouble()) * Math.scalb(1.0, random.nextInt(10) - 5);
                HostBuffer buffer = Values.buffer(dtype, Values.constant(n, x));
                BigDecimal exactly = new BigDecimal(Values.read(buffer)[0]);
                double l1 = exactly.multiply(BigDecimal.valueOf(n)).doubleValue();
                double l2 = exactly.pow(2)
                        .multiply(BigDecimal.valueOf(n))
                        .sqrt(MathContext.DECIMAL128)
                        .doubleValue();
                try (GradientClipper clipper = backend.clipper(buffer)) {
                    String what = n + " times " + x + " in " + dtype;
                    assertEquals(l1, clipper.globalNorm(NormType.L1), bound(dtype, NormType.L1) * l1, what);
                    assertEquals(l2, clipper.globalNorm(NormType.L2), bound(dtype, NormType.L2) * l2, what);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void randomShapesTypesAndMagnitudes(TestBackend backend) {
        for (int seed = 0; seed < 60 * SCALE; seed++) {
            Random random = new Random(seed);
            List<HostBuffer> buffers = new ArrayList<>();
            List<Double> all = new ArrayList<>();
            boolean only64 = random.nextInt(4) == 0;
            for (int t = random.nextInt(5); t >= 0; t--) {
                DType dtype = only64 ? DType.FLOAT64 : DType.values()[random.nextInt(4)];
                int n = (int) Math.pow(2, random.nextDouble() * 13) - 1;
                double[] values = Values.normal(random.nextLong(), n, magnitude(dtype, random));
                for (int i = 0; i < n; i++) if (random.nextInt(8) == 0) values[i] = 0;
                Values.Memory memory = Values.Memory.values()[random.nextInt(5)];
                buffers.add(Values.buffer(dtype, values, memory));
            }
            for (HostBuffer buffer : buffers) for (double x : Values.read(buffer)) all.add(x);
            double[] values = all.stream().mapToDouble(Double::doubleValue).toArray();
            try (GradientClipper clipper = backend.clipper(buffers.toArray(new HostBuffer[0]))) {
                DType worst = only64 ? DType.FLOAT64 : DType.FLOAT32;
                for (NormType type : NormContractTest.TYPES) {
                    double exact = ExactNorm.of(type, values);
                    double tolerance = bound(worst, type) * exact + Math.ulp(exact);
                    assertEquals(exact, clipper.globalNorm(type), tolerance, "seed " + seed + " " + type);
                }
            }
        }
    }

    private static double magnitude(DType dtype, Random random) {
        return switch (dtype) {
            case FLOAT64 -> Math.scalb(1.0, random.nextInt(1900) - 950);
            case FLOAT32, BFLOAT16 -> Math.scalb(1.0, random.nextInt(260) - 140);
            case FLOAT16 -> Math.scalb(1.0, random.nextInt(36) - 24);
        };
    }

    /** The bound of FLOAT64 is 1e-14, because its error is far below anything a step can show. */
    private static double bound(DType dtype, NormType type) {
        return dtype == DType.FLOAT64 ? 1e-14 : NormContractTest.bound(dtype, type);
    }
}
