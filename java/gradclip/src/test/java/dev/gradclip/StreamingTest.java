// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Gradients that pass by in pieces get the same bits as gradients bound at once. */
@Tag("thorough")
class StreamingTest {
    private static final int SCALE = Integer.getInteger("thorough.scale", 1);

    /** Elements of one tensor, cut anew for each pass like the windows of a file. */
    private static final class Tensor {
        final DType dtype;
        final double[] values;

        Tensor(DType dtype, double[] values) {
            this.dtype = dtype;
            this.values = values;
        }

        HostBuffer piece(int from, int to) {
            return Values.buffer(dtype, Arrays.copyOfRange(values, from, to));
        }

        /** Cuts at whole tiles, sometimes with an empty piece. */
        List<HostBuffer> pieces(Random random) {
            List<HostBuffer> pieces = new ArrayList<>();
            int tile = 8192 / dtype.bytes();
            int from = 0;
            while (from < values.length) {
                if (random.nextInt(5) == 0) pieces.add(piece(from, from));
                int to = Math.min(values.length, from + tile * (1 + random.nextInt(4)));
                pieces.add(piece(from, to));
                from = to;
            }
            return pieces;
        }
    }

    private static List<Tensor> tensors(Random random, boolean odd) {
        List<Tensor> tensors = new ArrayList<>();
        int count = random.nextInt(40) == 0 ? 1300 : random.nextInt(8);
        for (int t = 0; t < count; t++) {
            DType dtype = DType.values()[random.nextInt(4)];
            int n = random.nextInt(4) == 0 ? 0 : random.nextInt(count > 100 ? 20 : 30_000);
            double scale = dtype == DType.FLOAT16 ? 1 : Math.scalb(1.0, random.nextInt(200) - 100);
            if (dtype == DType.FLOAT64) scale = Math.scalb(scale, random.nextInt(1400) - 700);
            double[] values = Values.normal(random.nextLong(), n, scale);
            if (odd && n > 0 && random.nextBoolean()) {
                values[random.nextInt(n)] = random.nextBoolean() ? Double.NaN : Double.NEGATIVE_INFINITY;
            }
            tensors.add(new Tensor(dtype, values));
        }
        return tensors;
    }

    private static ClipRule rule(Random random) {
        NormType[] types = {NormType.L1, NormType.L2, NormType.INF};
        NormType type = types[random.nextInt(3)];
        NonFinitePolicy[] policies = {NonFinitePolicy.PROPAGATE, NonFinitePolicy.SKIP, NonFinitePolicy.ZERO};
        ClipRule rule = switch (random.nextInt(4)) {
            case 0 -> ClipRule.globalNorm(random.nextDouble()).withNormType(type);
            case 1 -> ClipRule.perTensorNorm(random.nextDouble()).withNormType(type);
            case 2 -> ClipRule.value(random.nextDouble() - 1, random.nextDouble());
            default -> ClipRule.value(0.5, 1 + random.nextDouble());
        };
        return rule.withNonFinitePolicy(policies[random.nextInt(3)]);
    }

    /** Returns a backend in host memory with the bits of the given one; skips the test if it is not available. */
    private static Backend bindable(Backend backend) {
        if (backend == Backend.CUDA)
            assumeTrue(EmulatedCuda.hasDevice(), "there is no device, and the emulated one is not built");
        assumeTrue(backend.isAvailable(), backend::reason);
        return backend == Backend.CUDA ? Backend.preferred() : backend;
    }

    private static int rounds(Backend backend, int onHost) {
        return SCALE * (backend == Backend.CUDA ? onHost / 4 : onHost);
    }

    @ParameterizedTest
    @EnumSource(Backend.class)
    void randomSplitsRulesAndPolicies(Backend backend) {
        Backend bindable = bindable(backend);
        for (int seed = 0; seed < rounds(backend, 120); seed++) {
            Random random = new Random(seed);
            List<Tensor> tensors = tensors(random, seed % 3 == 0);
            ClipRule rule = rule(random);
            String what = "seed " + seed + " " + rule;
            HostBuffer[] bound =
                    tensors.stream().map(t -> Values.buffer(t.dtype, t.values)).toArray(HostBuffer[]::new);
            GradientClipperBuilder builder = GradientClipper.builder().backend(bindable);
            for (HostBuffer buffer : bound) builder.add(buffer);
            try (GradientClipper clipper = builder.build();
                    StreamingClip clip = StreamingClip.of(rule, backend, 1 + random.nextInt(3))) {
                ClipResult want = clipper.clip(rule);
                for (int t = 0; t < tensors.size() && clip.needsMeasure(); t++) {
                    for (HostBuffer piece : tensors.get(t).pieces(random)) clip.measure(piece);
                    clip.endTensor("tensor " + t);
                }
                ClipResult decided = clip.decide();
                if (!(rule instanceof ValueRule)) {
                    assertEquals(want.globalNorm(), decided.globalNorm(), what);
                    assertEquals(want.coefficient(), decided.coefficient(), what);
                    for (int t = 0; t < tensors.size(); t++) {
                        assertEquals(want.tensorNorm(t), clip.tensorNorm(t), what);
                        assertEquals(want.tensorCoefficient(t), clip.tensorCoefficient(t), what);
                    }
                }
                for (int t = 0; t < tensors.size(); t++) {
                    List<HostBuffer> pieces = tensors.get(t).pieces(random);
                    if (pieces.isEmpty()) pieces.add(tensors.get(t).piece(0, 0));
                    int at = 0;
                    long[] expected = Values.bits(bound[t]);
                    for (HostBuffer piece : pieces) {
                        clip.apply(t, piece);
                        long[] bits = Values.bits(piece);
                        assertArrayEquals(Arrays.copyOfRange(expected, at, at + bits.length), bits, what);
                        at += bits.length;
                    }
                    assertEquals(expected.length, at);
                }
                assertEquals(want.toString(), clip.result().toString(), what);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Backend.class)
    void normsOfRandomSplits(Backend backend) {
        Backend bindable = bindable(backend);
        for (int seed = 0; seed < rounds(backend, 60); seed++) {
            Random random = new Random(1000 + seed);
            List<Tensor> tensors = tensors(random, seed % 4 == 0);
            for (NormType type : List.of(NormType.L1, NormType.L2, NormType.INF, NormType.p(3), NormType.p(0.5))) {
                GradientClipperBuilder builder = GradientClipper.builder().backend(bindable);
                for (Tensor tensor : tensors) builder.add(Values.buffer(tensor.dtype, tensor.values));
                try (GradientClipper clipper = builder.build();
                        StreamingNorm norm = StreamingNorm.of(type, backend, 0)) {
                    ClipResult want = clipper.clip(
                            ClipRule.globalNorm(Double.POSITIVE_INFINITY).withNormType(type));
                    for (int t = 0; t < tensors.size(); t++) {
                        for (HostBuffer piece : tensors.get(t).pieces(random)) norm.add(piece);
                        assertNorm(type, want.tensorNorm(t), norm.endTensor());
                    }
                    assertNorm(type, want.globalNorm(), norm.norm());
                }
            }
        }
    }

    private static void assertNorm(NormType type, double want, double got) {
        boolean bits = type.p() == 1 || type.p() == 2 || Double.isInfinite(type.p());
        if (bits || !Double.isFinite(want)) assertEquals(want, got, type::toString);
        else assertEquals(want, got, 1e-12 * want, type::toString);
    }

    @Test
    void errorNamesTheTensorAndRefusesToApply() {
        ClipRule rule = ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ERROR);
        HostBuffer piece = Values.buffer(DType.FLOAT32, 1, Double.NaN);
        long[] before = Values.bits(piece);
        try (StreamingClip clip = StreamingClip.of(rule, Backend.preferred(), 1)) {
            clip.measure(Values.buffer(DType.FLOAT32, 1));
            clip.endTensor("good");
            clip.measure(piece);
            clip.endTensor("bad");
            assertEquals(
                    "bad",
                    assertThrows(NonFiniteGradientException.class, clip::decide).tensor());
            assertThrows(IllegalStateException.class, () -> clip.apply(1, piece));
            assertArrayEquals(before, Values.bits(piece));
        }
    }

    @Test
    void stepsOutOfTurnAreRefused() {
        HostBuffer tile = HostBuffer.wrap(new float[2048]);
        HostBuffer odd = HostBuffer.wrap(new float[7]);
        StreamingClip clip = StreamingClip.of(ClipRule.globalNorm(1), Backend.preferred(), 0);
        assertTrue(clip.needsMeasure());
        assertThrows(IllegalStateException.class, () -> clip.apply(0, tile));
        assertThrows(IllegalStateException.class, () -> clip.tensorCoefficient(0));
        clip.measure(tile);
        assertThrows(IllegalArgumentException.class, () -> clip.measure(HostBuffer.wrap(new double[1])));
        clip.measure(odd);
        assertThrows(IllegalArgumentException.class, () -> clip.measure(tile));
        assertThrows(IllegalStateException.class, clip::decide, "a tensor that has not ended");
        clip.endTensor("a");
        clip.decide();
        assertThrows(IllegalStateException.class, clip::decide);
        assertThrows(IllegalStateException.class, () -> clip.measure(tile));
        assertThrows(IllegalStateException.class, () -> clip.endTensor("b"));
        assertThrows(IndexOutOfBoundsException.class, () -> clip.apply(1, tile));
        assertThrows(IndexOutOfBoundsException.class, () -> clip.tensorNorm(1));
        clip.close();
        clip.close();
        assertThrows(IllegalStateException.class, () -> clip.apply(0, tile));
        StreamingNorm norm = StreamingNorm.of(NormType.L2, Backend.JAVA, 1);
        norm.close();
        assertThrows(IllegalStateException.class, () -> norm.add(tile));
        assertThrows(IllegalStateException.class, norm::endTensor);
        assertThrows(IllegalStateException.class, norm::norm);
        assertThrows(IllegalArgumentException.class, () -> StreamingNorm.of(NormType.L2, Backend.JAVA, -1));
    }

    @ParameterizedTest
    @EnumSource(Backend.class)
    void anyCoefficientIsApplied(Backend backend) {
        bindable(backend);
        for (double odd : new double[] {Double.NaN, Double.POSITIVE_INFINITY, 1e30, 3}) {
            for (double maxNorm : new double[] {0, 1e-40, 1, 1e20}) {
                double[] values = {3, -4, odd};
                HostBuffer whole = Values.buffer(DType.FLOAT32, values);
                try (GradientClipper clipper = GradientClipper.of(whole)) {
                    clipper.clipByGlobalNorm(maxNorm);
                }
                HostBuffer piece = Values.buffer(DType.FLOAT32, values);
                try (StreamingClip clip = StreamingClip.of(ClipRule.globalNorm(maxNorm), backend, 1)) {
                    clip.measure(piece);
                    clip.endTensor("a");
                    clip.decide();
                    clip.apply(0, piece);
                }
                assertArrayEquals(Values.bits(whole), Values.bits(piece), odd + " clipped to " + maxNorm);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Backend.class)
    void readOnlyPiecesAreMeasuredAndNeverWritten(Backend backend) {
        bindable(backend);
        ByteBuffer bytes = ByteBuffer.allocateDirect(8).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putFloat(0, 3).putFloat(4, 4);
        HostBuffer piece = HostBuffer.wrap(bytes.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN), DType.FLOAT32);
        try (StreamingClip clip = StreamingClip.of(ClipRule.globalNorm(1), backend, 1);
                StreamingClip nothing = StreamingClip.of(ClipRule.globalNorm(10), backend, 1);
                StreamingClip value = StreamingClip.of(ClipRule.value(1), backend, 1);
                StreamingClip zero = StreamingClip.of(
                        ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ZERO), backend, 1)) {
            clip.measure(piece);
            assertEquals(5, clip.endTensor("a"));
            assertTrue(clip.decide().clipped());
            assertThrows(IllegalStateException.class, () -> clip.apply(0, piece));
            nothing.measure(piece);
            nothing.endTensor("a");
            assertFalse(nothing.decide().clipped());
            nothing.apply(0, piece);
            value.decide();
            assertThrows(IllegalStateException.class, () -> value.apply(0, piece));
            assertThrows(IllegalStateException.class, () -> zero.measure(piece));
        }
        assertEquals(3, bytes.getFloat(0));
        assertEquals(4, bytes.getFloat(4));
    }

    @Test
    void nothingAtAll() {
        try (StreamingClip clip = StreamingClip.of(ClipRule.globalNorm(1), Backend.JAVA, 1);
                StreamingNorm norm = StreamingNorm.of(NormType.p(3), Backend.JAVA, 1)) {
            assertEquals(0, clip.endTensor("empty"));
            ClipResult result = clip.decide();
            assertEquals(1, result.tensors());
            assertFalse(result.clipped());
            assertEquals(0, norm.norm());
            assertThrows(IllegalStateException.class, () -> result.tensorNorm(0));
        }
    }

    /** More tiles in one tensor than a fold's run holds. */
    @Test
    void aLongTensorInSmallPieces() {
        int n = 1300 * 1024 + 5;
        double[] values = Values.normal(3, n, 1);
        Tensor tensor = new Tensor(DType.FLOAT64, values);
        for (Backend backend : Stream.of(Backend.JAVA, Backend.NATIVE)
                .filter(Backend::isAvailable)
                .toList()) {
            try (GradientClipper clipper = GradientClipper.of(HostBuffer.wrap(values));
                    StreamingNorm norm = StreamingNorm.of(NormType.L2, backend, 2)) {
                for (HostBuffer piece : tensor.pieces(new Random(1))) norm.add(piece);
                assertEquals(clipper.globalNorm(), norm.endTensor());
            }
        }
    }
}
