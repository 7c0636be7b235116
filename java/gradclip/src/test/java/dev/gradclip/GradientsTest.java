// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** The static methods that clip in one line. */
class GradientsTest {
    private static FloatBuffer direct(float... values) {
        FloatBuffer buffer = ByteBuffer.allocateDirect(4 * values.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .asFloatBuffer();
        buffer.put(values).flip();
        return buffer;
    }

    @Test
    void globalNormOfFloats() {
        float[] a = {3};
        float[] b = {0, 4};
        assertEquals(5, Gradients.globalNorm(a, b));
        ClipResult result = Gradients.clipByGlobalNorm(1, a, b);
        assertEquals(5, result.globalNorm());
        assertEquals(2, result.tensors());
        assertArrayEquals(new float[] {0.6f}, a, 1e-6f);
        assertArrayEquals(new float[] {0, 0.8f}, b, 1e-6f);
    }

    @Test
    void globalNormOfDoubles() {
        double[] a = {3};
        double[] b = {4};
        assertEquals(5, Gradients.globalNorm(a, b));
        Gradients.clipByGlobalNorm(2.5, a, b);
        assertArrayEquals(new double[] {1.5, 2}, new double[] {a[0], b[0]}, 1e-6);
    }

    @Test
    void globalNormOfBuffersFromPositionToLimit() {
        FloatBuffer a = direct(100, 3, 100);
        a.position(1).limit(2);
        FloatBuffer b = FloatBuffer.wrap(new float[] {100, 4, 100}, 1, 1);
        assertEquals(5, Gradients.globalNorm(List.of(a.asReadOnlyBuffer(), b)));
        Gradients.clipByGlobalNorm(2.5, List.of(a, b));
        assertEquals(1.5f, a.get(1), 1e-6);
        assertEquals(2, b.get(1), 1e-6);
        assertEquals(100, a.clear().get(0));
        assertEquals(100, a.get(2));
        assertEquals(100, b.array()[0]);
        assertEquals(100, b.array()[2]);
    }

    @Test
    void normOfEachTensor() {
        float[] a = {3, 4};
        float[] small = {0.1f};
        assertTrue(Double.isNaN(Gradients.clipPerTensorNorm(1, a, small).coefficient()));
        assertArrayEquals(new float[] {0.6f, 0.8f}, a, 1e-6f);
        assertArrayEquals(new float[] {0.1f}, small);
        double[] d = {0, 10};
        Gradients.clipPerTensorNorm(1, d);
        assertArrayEquals(new double[] {0, 1}, d, 1e-6);
        FloatBuffer f = direct(0, -10);
        Gradients.clipPerTensorNorm(1, List.of(f));
        assertEquals(-1, f.get(1), 1e-6);
    }

    @Test
    void values() {
        float[] a = {-3, 0.5f, 4};
        assertEquals(2, Gradients.clipByValue(1, a).elementsChanged());
        assertArrayEquals(new float[] {-1, 0.5f, 1}, a);
        double[] d = {-3, 0.5, 4};
        Gradients.clipByValue(1, d);
        assertArrayEquals(new double[] {-1, 0.5, 1}, d);
        FloatBuffer f = direct(-3, 4);
        Gradients.clipByValue(1, List.of(f));
        assertEquals(-1, f.get(0));
        float[] b = {-3, 4};
        Gradients.clipByValue(-2, 3, b);
        assertArrayEquals(new float[] {-2, 3}, b);
        double[] e = {-3, 4};
        Gradients.clipByValue(-2, 3, e);
        assertArrayEquals(new double[] {-2, 3}, e);
    }

    @Test
    void anyRule() {
        ClipRule rule = ClipRule.globalNorm(7).withNormType(NormType.L1).withEpsilon(0);
        float[] a = {-6, 8};
        double[] d = {-6, 8};
        FloatBuffer f = direct(-6, 8);
        Gradients.clip(rule, a);
        Gradients.clip(rule, d);
        Gradients.clip(rule, List.of(f));
        assertArrayEquals(new float[] {-3, 4}, a);
        assertArrayEquals(new double[] {-3, 4}, d);
        assertEquals(4, f.get(1));
    }

    @Test
    void nothingAtAll() {
        assertEquals(0, Gradients.globalNorm(List.of()));
        assertEquals(0, Gradients.clipByGlobalNorm(1, new float[0]).globalNorm());
        assertEquals(0, Gradients.clipByGlobalNorm(1, new double[0][]).tensors());
    }

    @Test
    @SuppressWarnings("NullAway") // what code without its checks may pass
    void nullIsNamedByItsPlace() {
        float[] f = {3, 4};
        double[] d = {3, 4};
        FloatBuffer b = direct(3, 4);
        ClipRule rule = ClipRule.globalNorm(1);
        List<Executable> calls = List.of(
                () -> Gradients.clipByGlobalNorm(1, f, null),
                () -> Gradients.clipByGlobalNorm(1, d, null),
                () -> Gradients.clipByGlobalNorm(1, Arrays.asList(b, null)),
                () -> Gradients.clipPerTensorNorm(1, f, null),
                () -> Gradients.clipByValue(1, d, null),
                () -> Gradients.clipByValue(-1, 1, f, null),
                () -> Gradients.globalNorm(d, null),
                () -> Gradients.globalNorm(Arrays.asList(b, null)),
                () -> Gradients.clip(rule, f, null),
                () -> Gradients.clip(rule, d, null),
                () -> Gradients.clip(rule, Arrays.asList(b, null)),
                () -> GradientClipper.of(HostBuffer.wrap(f), null));
        for (Executable call : calls) {
            String message = assertThrows(NullPointerException.class, call).getMessage();
            assertEquals("the gradient of tensor 1 is null", message);
        }
        assertArrayEquals(new float[] {3, 4}, f);
    }

    @Test
    void theSameArrayTwiceIsRefused() {
        float[] a = {3};
        IllegalArgumentException e =
                assertThrows(IllegalArgumentException.class, () -> Gradients.clipByGlobalNorm(1, a, new float[1], a));
        String message = String.valueOf(e.getMessage());
        assertTrue(message.contains("tensor 0") && message.contains("tensor 2"), message);
    }

    @Test
    void manyThreadsOnDifferentArrays() throws InterruptedException {
        double expected = Gradients.globalNorm(gradient(0));
        Thread[] threads = new Thread[8];
        double[] norms = new double[threads.length];
        for (int t = 0; t < threads.length; t++) {
            int index = t;
            threads[t] = new Thread(() -> {
                for (int i = 0; i < 20; i++) norms[index] += Gradients.globalNorm(gradient(0)) / 20;
            });
            threads[t].start();
        }
        for (Thread thread : threads) thread.join();
        for (double norm : norms) assertEquals(expected, norm, 1e-12 * expected);
    }

    private static float[] gradient(long seed) {
        float[] x = new float[200_000];
        double[] values = Values.normal(seed, x.length, 1);
        for (int i = 0; i < x.length; i++) x[i] = (float) values[i];
        return x;
    }

    @Test
    @SuppressWarnings("NullAway")
    void aClipperTakesPlainArraysToo() {
        float[] floats = {3, 4};
        double[] doubles = {6, 8};
        FloatBuffer buffer = FloatBuffer.wrap(new float[] {5, 12});
        try (GradientClipper ofFloats = GradientClipper.of(floats, new float[0]);
                GradientClipper ofDoubles = GradientClipper.of(doubles);
                GradientClipper ofBuffers = GradientClipper.of(List.of(buffer))) {
            assertEquals(5, ofFloats.clipByGlobalNorm(1).globalNorm());
            assertEquals(10, ofDoubles.globalNorm());
            assertEquals(13, ofBuffers.globalNorm());
            assertEquals(1, ofFloats.globalNorm(), 1e-6);
            assertEquals(
                    "GradientClipper[" + Backend.preferred() + ", 2 of 2 tensors, 2 elements]", ofFloats.toString());
        }
        NullPointerException refused =
                assertThrows(NullPointerException.class, () -> GradientClipper.of(new float[1], null));
        assertEquals("the gradient of tensor 1 is null", refused.getMessage());
    }

    @Test
    void closedAndBuffersSayWhatTheyAre() {
        GradientClipper clipper = GradientClipper.of(new float[3]);
        clipper.close();
        assertEquals("GradientClipper[" + Backend.preferred() + ", closed]", clipper.toString());
        HostBuffer whole = HostBuffer.wrap(new float[2048]);
        assertEquals("HostBuffer[2048 FLOAT32]", whole.toString());
        assertEquals(
                "HostBuffer[4096 FLOAT32, in 2 pieces]",
                HostBuffer.ofPieces(whole, HostBuffer.wrap(new float[2048])).toString());
        FloatBuffer readOnly = ByteBuffer.allocateDirect(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .asFloatBuffer()
                .asReadOnlyBuffer();
        assertEquals(
                "HostBuffer[2 FLOAT32, read-only]", HostBuffer.wrap(readOnly).toString());
    }
}
