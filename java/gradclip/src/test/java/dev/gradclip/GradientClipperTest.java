// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Names, groups, prepared clips, stale results and read-only memory. */
class GradientClipperTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static void assertStale(Executable call, String reason) {
        String message =
                String.valueOf(assertThrows(IllegalStateException.class, call).getMessage());
        assertTrue(message.contains(reason), message);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void namesAndGroups(TestBackend backend) {
        try (GradientClipper clipper = backend.builder()
                .add("outside", backend.place(Values.buffer(DType.FLOAT32, 12)))
                .group("encoder")
                .add("w", backend.place(Values.buffer(DType.FLOAT32, 3)))
                .add(backend.place(Values.buffer(DType.FLOAT64, 4)))
                .group("empty")
                .group("decoder")
                .declare("bias", DType.FLOAT16, 4)
                .build()) {
            assertEquals(List.of("outside", "w", "tensor 2", "bias"), clipper.names());
            assertEquals(backend.backend(), clipper.backend());
            ClipResult result = clipper.clipByGlobalNorm(Double.POSITIVE_INFINITY);
            assertEquals(13, result.globalNorm());
            assertEquals(5, result.groupNorm("encoder"));
            assertEquals(0, result.groupNorm("empty"));
            assertEquals(0, result.groupNorm("decoder"));
            assertEquals(3, result.tensorNorm(1));
            assertThrows(IllegalArgumentException.class, () -> result.groupNorm("nowhere"));
            assertThrows(IndexOutOfBoundsException.class, () -> result.tensorNorm(4));
            assertThrows(IndexOutOfBoundsException.class, () -> result.tensorNorm(-1));
            assertThrows(IndexOutOfBoundsException.class, () -> result.tensorCoefficient(4));
        }
    }

    @Test
    void namesAndGroupsAreTakenOnce() {
        GradientClipperBuilder builder = GradientClipper.builder().group("g").add("a", HostBuffer.wrap(new float[1]));
        assertThrows(IllegalArgumentException.class, () -> builder.add("a", HostBuffer.wrap(new float[1])));
        assertThrows(IllegalArgumentException.class, () -> builder.declare("a", DType.FLOAT32, 1));
        assertThrows(IllegalArgumentException.class, () -> builder.group("g"));
        assertThrows(IllegalArgumentException.class, () -> builder.threads(0));
        assertThrows(IllegalArgumentException.class, () -> builder.executor(Runnable::run, 0));
        assertThrows(IllegalArgumentException.class, () -> builder.declare("b", DType.FLOAT32, -1));
        GradientClipperBuilder cuda = builder.backend(Backend.CUDA);
        RuntimeException e = assertThrows(TestBackend.cudaRefusesTheHost(), cuda::build);
        assertTrue(String.valueOf(e.getMessage()).contains("CUDA"), e::getMessage);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aPreparedClipRunsItsRule(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 3, 4);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            ClipRule rule = ClipRule.globalNorm(2.5).withEpsilon(0);
            PreparedClip clip = clipper.prepare(rule);
            assertEquals(rule, clip.rule());
            assertEquals(0.5, clip.run().coefficient());
            assertEquals(1, clip.run().coefficient());
            assertArrayEquals(new double[] {1.5, 2}, Values.read(buffer));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void clipWithNormTakesTheNormAsGiven(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 3, 4);
        try (GradientClipper clipper = backend.clipper(buffer)) {
            assertEquals(5, clipper.globalNorm(), "forgotten when another norm is given");
            ClipResult result = clipper.clipWithNorm(ClipRule.globalNorm(5).withEpsilon(0), 10);
            assertEquals(10, result.globalNorm());
            assertEquals(0.5, result.coefficient());
            assertArrayEquals(new double[] {1.5, 2}, Values.read(buffer));
            assertStale(() -> result.tensorNorm(0), "no norms");
            assertEquals(5 / (20 + 1e-6), clipper.clipWithNorm(5, 20).coefficient());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void perTensorFiguresGoStale(TestBackend backend) {
        GradientClipper clipper = backend.clipper(Values.buffer(DType.FLOAT32, 3, 4));
        ClipResult first = clipper.clipByGlobalNorm(1);
        assertEquals(5, first.tensorNorm(0));
        ClipResult second = clipper.clipByGlobalNorm(1);
        assertStale(() -> first.tensorNorm(0), "measured again");
        assertStale(() -> first.tensorCoefficient(0), "measured again");
        assertEquals(1, second.tensorNorm(0), 1e-6);
        clipper.globalNorm();
        assertStale(() -> second.tensorNorm(0), "measured again");
        ClipResult third = clipper.clipByValue(1);
        assertStale(() -> third.tensorNorm(0), "no norms");
        ClipResult fourth = clipper.clipByGlobalNorm(1);
        clipper.close();
        assertStale(() -> fourth.tensorNorm(0), "closed");
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void readOnlyMemoryIsMeasuredAndNeverWritten(TestBackend backend) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(40_000).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < 10_000; i++) bytes.putFloat(4 * i, 3);
        HostBuffer buffer = HostBuffer.wrap(bytes.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN), DType.FLOAT32);
        assertTrue(buffer.isReadOnly());
        try (GradientClipper clipper = backend.builder().add("frozen", buffer).build()) {
            assertEquals(300, clipper.globalNorm());
            ClipResult measured = clipper.clipByGlobalNorm(Double.POSITIVE_INFINITY);
            assertEquals(300, measured.globalNorm());
            assertFalse(measured.clipped());
            assertEquals(
                    300, clipper.clipPerTensorNorm(Double.POSITIVE_INFINITY).tensorNorm(0));
            ClipRule zero = ClipRule.globalNorm(Double.POSITIVE_INFINITY).withNonFinitePolicy(NonFinitePolicy.ZERO);
            for (Executable call : List.<Executable>of(
                    () -> clipper.clipByGlobalNorm(1000),
                    () -> clipper.clipPerTensorNorm(1),
                    () -> clipper.clipByValue(1),
                    () -> clipper.clipWithNorm(1, 2),
                    () -> clipper.clip(zero))) {
                assertStale(call, "frozen is read-only");
            }
        }
        for (int i = 0; i < 10_000; i++) assertEquals(3, bytes.getFloat(4 * i));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aRefusedCallLeavesTheClipperUsable(TestBackend backend) {
        try (GradientClipper clipper = backend.clipper(Values.buffer(DType.FLOAT32, 3, 4))) {
            assertThrows(IllegalArgumentException.class, () -> clipper.clipByGlobalNorm(Double.NaN));
            assertThrows(IllegalArgumentException.class, () -> clipper.rebind(new long[5]));
            assertThrows(IllegalArgumentException.class, () -> clipper.measure("nowhere"));
            assertEquals(5, clipper.globalNorm());
        }
    }
}
