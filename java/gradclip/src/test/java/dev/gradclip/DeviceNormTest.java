// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Norms that stay on the device: figures that a decision leaves there, and clips that read a norm there. */
@Timeout(60)
class DeviceNormTest {
    private static final NormRule NO_CLIP = ClipRule.globalNorm(Double.POSITIVE_INFINITY);

    static Stream<TestBackend> devices() {
        return TestBackend.onDevices();
    }

    private static DeviceBuffer onDevice(double... values) {
        DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT64, values.length);
        buffer.copyFrom(values);
        return buffer;
    }

    private static double[] read(DeviceBuffer buffer) {
        double[] values = new double[Math.toIntExact(buffer.length())];
        buffer.copyTo(values);
        return values;
    }

    private static double figure(GradientClipper clipper, long address) {
        return read(DeviceBuffer.wrap(address, 1, DType.FLOAT64, clipper))[0];
    }

    /** Two clippers stand for two processes, and a copy for the collective that adds their squares up. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void processesShareANormWithoutTheHost(TestBackend backend) {
        try (DeviceBuffer a = onDevice(3, 4);
                DeviceBuffer b = onDevice(12, 0);
                DeviceBuffer total = onDevice(0);
                CudaStream stream = CudaStream.create();
                GradientClipper first = backend.builder().add("a", a).build();
                GradientClipper second = backend.builder().add("b", b).build()) {
            first.decideAsync(NO_CLIP, stream);
            second.decideAsync(NO_CLIP, stream);
            stream.synchronize();
            assertEquals(5, figure(first, first.normAddress()));
            assertEquals(25, figure(first, first.squaredNormAddress()));
            total.copyFrom(new double[] {25 + figure(second, second.squaredNormAddress())});
            DeviceNorm norm = DeviceNorm.squaredAt(total.address());
            NormRule half = ClipRule.globalNorm(6.5).withEpsilon(0);
            ClipResult result = first.clipWithNormAsync(half, norm, stream);
            second.clipWithNormAsync(half, norm, stream);
            assertEquals(13, result.globalNorm());
            assertEquals(0.5, result.coefficient());
            stream.synchronize();
            assertArrayEquals(new double[] {1.5, 2}, read(a));
            assertArrayEquals(new double[] {6, 0}, read(b));
            float[] inverse = new float[1];
            DeviceBuffer.wrap(first.inverseCoefficientAddress(), 1, DType.FLOAT32, first)
                    .copyTo(inverse);
            assertEquals(2, inverse[0]);
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void aCapturedClipReadsTheNormAtEachLaunch(TestBackend backend) {
        try (DeviceBuffer gradient = onDevice(8, 16);
                DeviceBuffer total = onDevice(4);
                CudaStream stream = CudaStream.create();
                GradientClipper clipper =
                        backend.builder().add("weight", gradient).build()) {
            List<CapturedClip> clips = new ArrayList<>();
            NormRule rule = ClipRule.globalNorm(1).withEpsilon(0);
            DeviceNorm norm = DeviceNorm.at(total.address());
            try (CudaGraph graph = CudaGraph.capture(
                    stream, () -> clips.add(clipper.prepare(rule).capture(norm, stream)))) {
                graph.launch(stream);
                stream.synchronize();
                assertArrayEquals(new double[] {2, 4}, read(gradient));
                total.copyFrom(new double[] {2});
                graph.launch(stream);
                stream.synchronize();
                assertArrayEquals(new double[] {1, 2}, read(gradient));
                assertEquals(2, clips.get(0).latest().globalNorm());
            }
            clips.get(0).close();
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void aNormThatIsNotFiniteGoesByThePolicy(TestBackend backend) {
        try (DeviceBuffer gradient = onDevice(8, 16);
                DeviceBuffer total = onDevice(Double.NaN);
                GradientClipper clipper =
                        backend.builder().add("weight", gradient).build()) {
            DeviceNorm norm = DeviceNorm.at(total.address());
            for (double none : new double[] {Double.NaN, Double.POSITIVE_INFINITY, -1}) {
                total.copyFrom(new double[] {none});
                NormRule rule = ClipRule.globalNorm(1);
                ClipResult refused = clipper.clipWithNormAsync(
                        rule.withNonFinitePolicy(NonFinitePolicy.ERROR), norm, CudaStream.DEFAULT);
                String message = String.valueOf(assertThrows(NonFiniteGradientException.class, refused::globalNorm)
                        .getMessage());
                assertTrue(message.contains("the norm given"), message);
                assertTrue(clipper.clipWithNormAsync(
                                rule.withNonFinitePolicy(NonFinitePolicy.SKIP), norm, CudaStream.DEFAULT)
                        .nonFinite());
                assertArrayEquals(new double[] {8, 16}, read(gradient));
            }
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void groupsAreMeasuredOnTheStreamsThatComputeThem(TestBackend backend) {
        try (DeviceBuffer a = onDevice(3, 4);
                DeviceBuffer b = onDevice(12, 0);
                CudaStream one = CudaStream.create();
                CudaStream two = CudaStream.create();
                GradientClipper clipper = backend.builder()
                        .group("first")
                        .add("a", a)
                        .group("second")
                        .add("b", b)
                        .build()) {
            clipper.measureAsync("second", NormType.L2, one);
            clipper.measureAsync("first", NormType.L2, two);
            ClipResult result = clipper.applyAsync(ClipRule.globalNorm(6.5).withEpsilon(0), one);
            assertEquals(13, result.globalNorm());
            one.synchronize();
            assertArrayEquals(new double[] {6, 0}, read(b));
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void aNormElsewhereIsRefused(TestBackend backend) {
        try (DeviceBuffer gradient = onDevice(8, 16);
                GradientClipper clipper =
                        backend.builder().add("weight", gradient).build()) {
            NormRule rule = ClipRule.globalNorm(1);
            CudaException refused = assertThrows(
                    CudaException.class,
                    () -> clipper.clipWithNormAsync(rule, DeviceNorm.at(4096), CudaStream.DEFAULT));
            assertTrue(String.valueOf(refused.getMessage()).contains("not on the clipper's device"), refused::toString);
            assertArrayEquals(new double[] {8, 16}, read(gradient));
            assertEquals(0.5, clipper.clipWithNorm(rule.withEpsilon(0), 2).coefficient());
        }
    }

    @Test
    void whatADeviceNormMayBe() {
        for (DType dtype : new DType[] {DType.FLOAT16, DType.BFLOAT16}) {
            assertThrows(IllegalArgumentException.class, () -> new DeviceNorm(64, dtype, false));
        }
        for (long address : new long[] {0, 4, 12}) {
            assertThrows(IllegalArgumentException.class, () -> DeviceNorm.at(address));
        }
        assertEquals(4, new DeviceNorm(4, DType.FLOAT32, false).address());
        float[] host = {3, 4};
        try (GradientClipper clipper =
                GradientClipper.builder().add("weight", HostBuffer.wrap(host)).build()) {
            assertThrows(
                    IllegalStateException.class,
                    () -> clipper.clipWithNormAsync(ClipRule.globalNorm(1), DeviceNorm.at(64), CudaStream.DEFAULT));
            assertThrows(IllegalStateException.class, clipper::squaredNormAddress);
            assertThrows(
                    IllegalArgumentException.class,
                    () -> clipper.clipWithNormAsync(ClipRule.perTensorNorm(1), DeviceNorm.at(64), CudaStream.DEFAULT));
        }
        assertArrayEquals(new float[] {3, 4}, host);
    }
}
