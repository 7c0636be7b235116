// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.NativeCpu;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Units along an axis, beside the rows of the same tensor with that axis first: norms and elements have the same bits. */
class UnitsTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static void assertRefused(Class<? extends Exception> type, String reason, Executable call) {
        String message = String.valueOf(assertThrows(type, call).getMessage());
        assertTrue(message.contains(reason), message);
    }

    /** A tensor, and the same elements with one axis first. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Twins(long[] shape, int axis, HostBuffer strided, HostBuffer rows, int[] placeInStrided) {

        static Twins of(DType dtype, int axis, long seed, long... shape) {
            int units = (int) shape[axis];
            int inner = 1;
            for (int i = axis + 1; i < shape.length; i++) inner *= (int) shape[i];
            int all = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
            double[] values = Values.normal(seed, all, 1);
            int[] place = new int[all];
            int next = 0;
            for (int unit = 0; unit < units; unit++) {
                for (int i = 0; i < all; i++) if (i / inner % units == unit) place[next++] = i;
            }
            double[] moved = new double[all];
            for (int i = 0; i < all; i++) moved[i] = values[place[i]];
            // Memory of every kind in turn; most shapes meet most kinds, for their seeds are apart.
            Values.Memory memory = Values.Memory.values()[(int) (seed % Values.Memory.values().length)];
            return new Twins(shape, axis, Values.buffer(dtype, values, memory), Values.buffer(dtype, moved), place);
        }

        int units() {
            return (int) shape[axis];
        }

        /** The elements with the axis first, as {@link #rows} has them. */
        long[] stridedBits() {
            long[] bits = Values.bits(strided);
            return Arrays.stream(placeInStrided).mapToLong(i -> bits[i]).toArray();
        }
    }

    private static final List<long[]> SHAPES = List.of(
            new long[] {1, 1},
            new long[] {2, 2},
            new long[] {7, 3},
            new long[] {33, 70},
            new long[] {3, 3, 5, 8},
            new long[] {2, 130, 17},
            new long[] {5, 1, 9},
            new long[] {1030, 2},
            new long[] {2049, 3},
            new long[] {4, 2, 530},
            new long[] {4100, 2},
            new long[] {3, 2, 1400});

    private static void assertAlike(TestBackend backend, ClipRule rule, @Nullable Twins weights, Twins... twins) {
        GradientClipperBuilder units = backend.builder();
        GradientClipperBuilder rows = backend.builder();
        for (int i = 0; i < twins.length; i++) {
            units.add("t" + i, backend.place(twins[i].strided)).units(twins[i].axis, twins[i].shape);
            rows.add("t" + i, backend.place(twins[i].rows)).rows(twins[i].units());
            if (weights == null) continue;
            units.weights(backend.place(weights.strided));
            rows.weights(backend.place(weights.rows));
        }
        try (GradientClipper ofUnits = units.build();
                GradientClipper ofRows = rows.build()) {
            ClipResult is = ofUnits.clip(rule);
            ClipResult want = ofRows.clip(rule);
            for (int i = 0; i < twins.length; i++) {
                String what = rule + " " + Arrays.toString(twins[i].shape) + " axis " + twins[i].axis;
                assertArrayEquals(Values.bits(twins[i].rows), twins[i].stridedBits(), what);
                if (rule instanceof ValueRule) continue;
                for (int unit = 0; unit < twins[i].units(); unit++) {
                    assertEquals(want.rowNorm(i, unit), is.rowNorm(i, unit), what);
                    assertEquals(want.rowCoefficient(i, unit), is.rowCoefficient(i, unit), what);
                }
            }
            assertEquals(want.clipped(), is.clipped());
            if (!(rule instanceof ValueRule)) assertEquals(want.globalNorm(), is.globalNorm());
        }
    }

    private static void assertAlikeForAllShapes(TestBackend backend, ClipRule rule) {
        int seed = 1;
        for (long[] shape : SHAPES) {
            for (int axis = 0; axis < shape.length; axis++) {
                DType dtype = DType.values()[seed % 4];
                assertAlike(backend, rule, null, Twins.of(dtype, axis, seed, shape));
                // Direct memory, of which native code works on several units at once.
                if (!backend.onDevice()) assertAlike(backend, rule, null, Twins.of(dtype, axis, 2, shape));
                seed++;
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void normsAreThoseOfRows(TestBackend backend) {
        assertAlikeForAllShapes(backend, ClipRule.perRowNorm(3));
        assertAlikeForAllShapes(backend, ClipRule.globalNorm(2).withInverseScale(0.5));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyTypeOfNorm(TestBackend backend) {
        Twins[] twins = {
            Twins.of(DType.FLOAT32, 1, 5, 40, 30), Twins.of(DType.FLOAT16, 1, 6, 3, 4, 5),
            Twins.of(DType.FLOAT64, 2, 7, 3, 4, 5), Twins.of(DType.BFLOAT16, 0, 8, 6, 7)
        };
        for (NormType type : List.of(NormType.L1, NormType.INF, NormType.p(3))) {
            assertAlike(backend, ClipRule.perRowNorm(2).withNormType(type), null, twins);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void elementsAreClampedAndSetToZero(TestBackend backend) {
        assertAlikeForAllShapes(backend, ClipRule.value(0.5));
        assertAlikeForAllShapes(backend, ClipRule.value(0.5).withInverseScale(3));
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 1, Double.NaN, 3, 4, Double.POSITIVE_INFINITY, 5);
        try (GradientClipper clipper =
                backend.builder().add("w", backend.place(buffer)).units(1, 2, 3).build()) {
            clipper.clip(ClipRule.perRowNorm(100).withNonFinitePolicy(NonFinitePolicy.ZERO));
            assertArrayEquals(new double[] {1, 0, 3, 4, 0, 5}, Values.read(buffer));
        }
    }

    /** Optax's unit-wise norm: over all axes but the last. */
    @ParameterizedTest
    @MethodSource("backends")
    void adaptiveComparesUnitsOfTheWeights(TestBackend backend) {
        for (DType dtype : DType.values()) {
            assertAlike(
                    backend,
                    ClipRule.adaptive(0.7),
                    Twins.of(dtype, 3, 12, 3, 3, 5, 8),
                    Twins.of(dtype, 3, 11, 3, 3, 5, 8));
            assertAlike(
                    backend, ClipRule.adaptive(0.7), Twins.of(dtype, 1, 14, 600, 9), Twins.of(dtype, 1, 13, 600, 9));
        }
        double[] gradient = {3, 1, 4, 1};
        double[] weights = {0.3, 2, 0.4, 2};
        HostBuffer buffer = Values.buffer(DType.FLOAT64, gradient);
        try (GradientClipper clipper = backend.builder()
                .add("kernel", backend.place(buffer))
                .units(-1, 2, 2)
                .weights(backend.place(Values.buffer(DType.FLOAT64, weights)))
                .build()) {
            // Column 0 has the norm 5 and weights of 0.5; column 1 the norm sqrt(2) and weights of sqrt(8).
            clipper.clip(ClipRule.adaptive(1));
            assertArrayEquals(new double[] {0.3, 1, 0.4, 1}, Values.read(buffer), 1e-12);
        }
    }

    /** One pass that measures and scales, and samples. */
    @ParameterizedTest
    @MethodSource("backends")
    void otherRulesFindTheUnits(TestBackend backend) {
        assertAlike(backend, ClipRule.laggedNorm(1), null, Twins.of(DType.FLOAT32, 1, 3, 3000, 4));
        Twins[] samples = {Twins.of(DType.FLOAT32, 1, 5, 40, 30), Twins.of(DType.FLOAT16, 2, 6, 3, 4, 30)};
        assertAlike(backend, ClipRule.perSampleNorm(1), null, samples);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void anErrorNamesTheUnit(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 1, 2, 3, 4, Double.NaN, 5);
        try (GradientClipper clipper =
                backend.builder().add("w", backend.place(buffer)).units(1, 2, 3).build()) {
            NormRule strict = ClipRule.perRowNorm(1).withNonFinitePolicy(NonFinitePolicy.ERROR);
            assertRefused(
                    NonFiniteGradientException.class,
                    "its row 1 is NaN",
                    () -> clipper.clip(strict).globalNorm());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void memoryMoves(TestBackend backend) {
        HostBuffer first = Values.buffer(DType.FLOAT32, 3, 1, 4, 1);
        HostBuffer second = Values.buffer(DType.FLOAT32, 6, 0, 8, 0);
        try (GradientClipper clipper =
                backend.builder().declare("w", DType.FLOAT32, 4).units(1, 2, 2).build()) {
            assertEquals(0, clipper.clip(ClipRule.perRowNorm(1)).globalNorm());
            clipper.rebind(List.of(backend.place(first)));
            assertEquals(5, clipper.clip(ClipRule.perRowNorm(1)).rowNorm(0, 0));
            clipper.rebind(List.of(backend.place(second)));
            ClipResult result = clipper.clip(ClipRule.perRowNorm(1));
            assertEquals(10, result.rowNorm(0, 0));
            assertEquals(0, result.rowNorm(0, 1));
            assertArrayEquals(new double[] {0.6, 0, 0.8, 0}, Values.read(second), 1e-6);
        }
    }

    /** Where addresses can be read, an address is memory too, in plain Java as well. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void addressesAreMemory(TestBackend backend) {
        assumeTrue(Backend.NATIVE.isAvailable());
        ByteBuffer bytes = ByteBuffer.allocateDirect(16).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putFloat(3).putFloat(1).putFloat(4).putFloat(1).flip();
        long address = NativeCpu.address(bytes);
        try (GradientClipper clipper =
                backend.builder().declare("w", DType.FLOAT32, 4).units(1, 2, 2).build()) {
            clipper.rebind(new long[] {address});
            assertEquals(5, clipper.clip(ClipRule.perRowNorm(1)).rowNorm(0, 0));
            assertEquals(0.8, bytes.getFloat(8), 1e-6);
        } finally {
            Reference.reachabilityFence(bytes);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void wrongShapesAreRefusedByName(TestBackend backend) {
        GradientClipperBuilder builder = backend.builder().declare("kernel", DType.FLOAT32, 12);
        for (long[] shape : new long[][] {{3, 5}, {-3, -4}, {12, 0}, {Long.MAX_VALUE, Long.MAX_VALUE}}) {
            assertRefused(
                    IllegalArgumentException.class,
                    "kernel has 12 elements, which are not of the shape",
                    () -> builder.units(1, shape));
        }
        for (int axis : new int[] {2, -3}) {
            assertRefused(
                    IllegalArgumentException.class, "kernel has the axes 0 to 1", () -> builder.units(axis, 3, 4));
        }
        assertThrows(IllegalArgumentException.class, () -> builder.units(0));
        assertThrows(IllegalStateException.class, () -> backend.builder().units(0, 1));
        GradientClipperBuilder shard =
                backend.builder().declare("w", DType.FLOAT32, 8).units(1, 4, 2).shard(0, 16);
        assertRefused(IllegalArgumentException.class, "w is a shard and has units", shard::build);
        // What was said last counts.
        shard.rows(4).build().close();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void anEmptyTensorAndOneUnit(TestBackend backend) {
        try (GradientClipper clipper = backend.builder()
                .declare("empty", DType.FLOAT32, 0)
                .units(1, 3, 0)
                .declare("empty too", DType.FLOAT32, 0)
                .units(1, 0, 3)
                .add("one", backend.place(Values.buffer(DType.FLOAT32, 3, 4)))
                .units(1, 2, 1)
                .build()) {
            assertEquals(5, clipper.clip(ClipRule.perRowNorm(1)).rowNorm(2, 0));
        }
    }

    /** State is kept in the order of whole tensors. */
    @ParameterizedTest
    @MethodSource("backends")
    void anUpdateRefusesUnits(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 3, 1, 4, 1);
        try (GradientClipper clipper = backend.builder()
                .add("w", backend.place(buffer))
                .units(1, 2, 2)
                .weights(backend.place(Values.buffer(DType.FLOAT32, 3, 1, 4, 1)))
                .build()) {
            assertRefused(
                    IllegalArgumentException.class,
                    "w has units along an axis",
                    () -> clipper.step(Update.sgd(0.1), ClipRule.perRowNorm(1)));
        }
    }

    /** Units of one tensor lie between each other; another tensor that shares memory with it is still found. */
    @ParameterizedTest
    @MethodSource("backends")
    void sharedMemoryIsRefused(TestBackend backend) {
        GradientBuffer placed = backend.place(Values.buffer(DType.FLOAT32, 3, 1, 4, 1));
        GradientClipperBuilder builder =
                backend.builder().add("w", placed).units(1, 2, 2).add("tied", placed);
        assertRefused(IllegalArgumentException.class, "w and tied share memory", builder::build);
    }

    /** A clip of units in a graph, and no work that a clip of rows does not have. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void unitsAreCaptured(TestBackend backend) {
        Twins twins = Twins.of(DType.FLOAT32, 1, 3, 70, 33);
        try (GradientClipper clipper = backend.builder()
                        .add("w", backend.place(twins.strided))
                        .units(1, 70, 33)
                        .build();
                CapturedRulesTest.Captured captured = new CapturedRulesTest.Captured(clipper, ClipRule.perRowNorm(3))) {
            assertTrue(captured.launch().clipped());
        }
        try (GradientClipper clipper =
                backend.builder().add("w", backend.place(twins.rows)).rows(33).build()) {
            clipper.clip(ClipRule.perRowNorm(3));
        }
        assertArrayEquals(Values.bits(twins.rows), twins.stridedBits());
    }
}
