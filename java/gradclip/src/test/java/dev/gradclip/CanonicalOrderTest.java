// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The order of additions is a promise, pinned by a second implementation of the document and by stored values. */
class CanonicalOrderTest {
    private static final int[] SIZES = {1, 2, 7, 8, 9, 31, 33, 64, 127, 129, 255, 257, 777, 1024, 2049, 4097, 12_345};

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static void assertReference(TestBackend backend, List<DType> dtypes, List<double[]> tensors) {
        HostBuffer[] buffers = IntStream.range(0, tensors.size())
                .mapToObj(i -> Values.buffer(dtypes.get(i), tensors.get(i)))
                .toArray(HostBuffer[]::new);
        List<double[]> rounded = Stream.of(buffers).map(Values::read).toList();
        try (GradientClipper clipper = backend.clipper(buffers)) {
            for (NormType type : NormContractTest.TYPES) {
                double expected = ReferenceReduction.norm(type, dtypes, rounded);
                assertEquals(expected, clipper.globalNorm(type), () -> type + " of " + dtypes);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everySizeAndTypeFollowsTheDocument(TestBackend backend) {
        for (DType dtype : DType.values()) {
            for (int n : SIZES) {
                assertReference(backend, List.of(dtype), List.of(Values.normal(n, n, 1)));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyMagnitudeFollowsTheDocument(TestBackend backend) {
        for (int exponent = -149; exponent <= 127; exponent += 6) {
            double[] values = Values.normal(exponent, 5000, Math.scalb(1.0, exponent - 3));
            assertReference(backend, List.of(DType.FLOAT32), List.of(values));
            assertReference(backend, List.of(DType.BFLOAT16), List.of(values));
        }
        for (int exponent = -1074; exponent <= 1023; exponent += 31) {
            double[] values = Values.normal(exponent, 2500, Math.scalb(1.0, exponent - 3));
            assertReference(backend, List.of(DType.FLOAT64), List.of(values));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void tensorsOfOneGroupFoldInTheOrderBound(TestBackend backend) {
        Random random = new Random(42);
        for (int tensors : new int[] {2, 3, 255, 256, 257, 1023, 1024, 1025, 2500}) {
            List<DType> dtypes = new ArrayList<>();
            List<double[]> values = new ArrayList<>();
            for (int i = 0; i < tensors; i++) {
                dtypes.add(DType.values()[random.nextInt(4)]);
                values.add(Values.normal(i, random.nextInt(40), 1));
            }
            assertReference(backend, dtypes, values);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void tilesFoldBeyondOneLevel(TestBackend backend) {
        // 1027 tiles, and 1537 tiles and a part of one: a second level of the fold.
        assertReference(backend, List.of(DType.FLOAT64), List.of(Values.normal(1, 1027 * 1024, 1)));
        assertReference(backend, List.of(DType.FLOAT32), List.of(Values.normal(2, 1537 * 2048 + 77, 1)));
        assertReference(backend, List.of(DType.BFLOAT16), List.of(Values.normal(3, 1025 * 4096 + 5, 1)));
    }

    /** Numbers with all bits in use that need no random generator. */
    private static double[] golden(int n) {
        double[] values = new double[n];
        for (int i = 0; i < n; i++) values[i] = Math.sqrt((double) (i * 31L % 997)) - 15.5;
        return values;
    }

    @ParameterizedTest
    @MethodSource("backends")
    void theBitsOfFixedInputsNeverChange(TestBackend backend) {
        for (Golden golden : Golden.ALL) {
            double[] values = golden(golden.n());
            for (int i = 0; i < values.length; i++) values[i] *= golden.scale();
            try (GradientClipper clipper = backend.clipper(Values.buffer(golden.dtype(), values))) {
                assertEquals(golden.l1(), clipper.globalNorm(NormType.L1), () -> "L1 of " + golden);
                assertEquals(golden.l2(), clipper.globalNorm(NormType.L2), () -> "L2 of " + golden);
            }
        }
    }

    /** A change of one of these values is a change of what every user of the library computes. */
    private record Golden(DType dtype, int n, double scale, double l1, double l2) {
        static final List<Golden> ALL = List.of(
                new Golden(DType.FLOAT64, 1000, 0x1.0p0, 0x1.f711e223347b2p12, 0x1.25d19931ac148p8),
                new Golden(DType.FLOAT64, 70000, 0x1.0p0, 0x1.12c8ab0f42b34p19, 0x1.3303bb850a4f8p11),
                new Golden(DType.FLOAT64, 5000, 0x1.0p-600, 0x1.39aaf404269eap-585, 0x1.47f3244f50fc6p-591),
                new Golden(DType.FLOAT64, 5000, 0x1.0p600, 0x1.39aaf404269eap615, 0x1.47f3244f50fc6p609),
                new Golden(DType.FLOAT32, 1000, 0x1.0p0, 0x1.f711e24p12, 0x1.25d1992571414p8),
                new Golden(DType.FLOAT32, 3000000, 0x1.0p0, 0x1.700cbb8de7cp24, 0x1.f681777722783p13),
                new Golden(DType.FLOAT32, 5000, 0x1.0p-80, 0x1.39aaf3fa9p-65, 0x1.47f32453333ccp-71),
                new Golden(DType.FLOAT32, 5000, 0x1.0p80, 0x1.39aaf3fa9p95, 0x1.47f32453333ccp89),
                new Golden(DType.FLOAT16, 70000, 0x1.0p0, 0x1.12c8831b4p19, 0x1.330359827d9fdp11),
                new Golden(DType.BFLOAT16, 70000, 0x1.0p0, 0x1.12c742ap19, 0x1.33020c8f39427p11),
                new Golden(DType.BFLOAT16, 5000, 0x1.0p-90, 0x1.39a955p-75, 0x1.47f153cdfc5f6p-81),
                new Golden(DType.BFLOAT16, 5000, 0x1.0p90, 0x1.39a955p105, 0x1.47f153cdfc5f6p99));
    }
}
