// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Ranges of device memory at every offset from its 16-byte vectors get the host's bits; nothing else is written. */
class DeviceRangesTest {
    private static final int[] SIZES = {1, 2, 7, 8, 31, 33, 147, 1000, 4099};
    private static final int BEHIND = 5;

    static Stream<TestBackend> devices() {
        return TestBackend.onDevices();
    }

    private static ClipRule[] rules() {
        return new ClipRule[] {
            ClipRule.globalNorm(0.3),
            ClipRule.perTensorNorm(0.3).withNormType(NormType.L1),
            ClipRule.globalNorm(0.3).withNormType(NormType.INF).withNonFinitePolicy(NonFinitePolicy.ZERO),
            ClipRule.value(0.25)
        };
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("devices")
    void everyOffsetAndLength(TestBackend backend) {
        for (DType dtype : DType.values()) {
            int vector = 16 / dtype.bytes();
            for (int n : SIZES) {
                for (int offset = 0; offset < 2 * vector; offset++) {
                    for (ClipRule rule : rules()) assertRange(backend, dtype, n, offset, rule);
                }
            }
        }
    }

    private static void assertRange(TestBackend backend, DType dtype, int n, int offset, ClipRule rule) {
        double[] all = Values.normal(n + 31L * offset, offset + n + BEHIND, 1);
        if (rule.nonFinitePolicy() == NonFinitePolicy.ZERO) all[offset + n / 2] = Double.NaN;
        HostBuffer whole = Values.buffer(dtype, all);
        HostBuffer part = Values.buffer(dtype, Arrays.copyOfRange(all, offset, offset + n));
        long[] expected = Values.bits(whole);
        String what = dtype + " " + n + " at " + offset + " " + rule;
        try (DeviceBuffer memory = DeviceBuffer.allocate(dtype, all.length)) {
            memory.copyFrom(whole);
            long address = memory.address() + (long) offset * dtype.bytes();
            try (GradientClipper onHost = GradientClipper.builder()
                            .backend(Backend.JAVA)
                            .add(part)
                            .build();
                    GradientClipper onDevice = backend.builder()
                            .add(DeviceBuffer.wrap(address, n, dtype, memory))
                            .build()) {
                assertEquals(onHost.clip(rule).toString(), onDevice.clip(rule).toString(), what);
            }
            memory.copyTo(whole);
        }
        System.arraycopy(Values.bits(part), 0, expected, offset, n);
        assertArrayEquals(expected, Values.bits(whole), what);
    }
}
