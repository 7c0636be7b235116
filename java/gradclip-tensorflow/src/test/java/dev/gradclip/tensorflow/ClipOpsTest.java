// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.tensorflow;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.Convention;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tensorflow.EagerSession;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Gradients agree with {@code tf.clip_by_global_norm}, {@code clip_by_norm}, {@code clip_by_average_norm} and {@code
 * clip_by_value}:
 * Python composes them of kernels, and here the same kernels are composed from the formulas, in TensorFlow's float
 * arithmetic.
 */
class ClipOpsTest {
    private static final float INF = Float.POSITIVE_INFINITY;

    /** Some hundred floats: TensorFlow's sum of squares, its root and two products are each within a few 2^-24. */
    private static final double FLOAT = 2e-6;

    private interface Op {
        List<Operand<TFloat32>> apply(Ops tf, List<Operand<TFloat32>> gradients);
    }

    private interface OpOfOne {
        Operand<TFloat32> apply(Ops tf, Operand<TFloat32> gradient);
    }

    private static Op each(OpOfOne op) {
        return (tf, gradients) -> gradients.stream().map(g -> op.apply(tf, g)).toList();
    }

    private static Operand<TInt32> allAxes(Ops tf) {
        return tf.constant(new int[] {0});
    }

    /** n = sqrt(2 Σ l2_loss(g)); g · (n finite ? c · min(1 / n, 1 / c) : NaN). */
    private static Op clipByGlobalNorm(float c) {
        return (tf, gradients) -> {
            List<Operand<TFloat32>> halves = new ArrayList<>();
            for (Operand<TFloat32> g : gradients) halves.add(tf.nn.l2Loss(g));
            Operand<TFloat32> half = tf.reduceSum(tf.stack(halves), allAxes(tf));
            Operand<TFloat32> norm = tf.math.sqrt(tf.math.mul(half, tf.constant(2f)));
            Operand<TFloat32> one = tf.constant(1f);
            Operand<TFloat32> finite = tf.math.mul(
                    tf.constant(c), tf.math.minimum(tf.math.div(one, norm), tf.math.div(one, tf.constant(c))));
            Operand<TFloat32> scale = tf.select(tf.math.isFinite(norm), finite, tf.constant(Float.NaN));
            return gradients.stream()
                    .<Operand<TFloat32>>map(g -> tf.math.mul(g, scale))
                    .toList();
        };
    }

    /** s = Σ g²; n = s above 0 ? sqrt(s) : s; g · c / max(n, c). */
    private static OpOfOne clipPerTensorNorm(float c) {
        return (tf, g) -> {
            Operand<TFloat32> sum = tf.reduceSum(tf.math.mul(g, g), allAxes(tf));
            var positive = tf.math.greater(sum, tf.constant(0f));
            Operand<TFloat32> safe = tf.select(positive, sum, tf.constant(1f));
            Operand<TFloat32> norm = tf.select(positive, tf.math.sqrt(safe), sum);
            return tf.math.div(tf.math.mul(g, tf.constant(c)), tf.math.maximum(norm, tf.constant(c)));
        };
    }

    /** g · c · min(elements · rsqrt(Σ g²), 1 / c). */
    private static OpOfOne clipByAverageNorm(float c) {
        return (tf, g) -> {
            Operand<TFloat32> inverse = tf.math.rsqrt(tf.reduceSum(tf.math.mul(g, g), allAxes(tf)));
            Operand<TFloat32> elements = tf.constant((float) g.shape().size());
            Operand<TFloat32> least =
                    tf.math.minimum(tf.math.mul(inverse, elements), tf.math.div(tf.constant(1f), tf.constant(c)));
            return tf.math.mul(tf.math.mul(g, tf.constant(c)), least);
        };
    }

    private static float[] values(Operand<TFloat32> operand) {
        TFloat32 tensor = operand.asTensor();
        float[] values = new float[(int) tensor.size()];
        for (int i = 0; i < values.length; i++) values[i] = tensor.getFloat(i);
        return values;
    }

    private static void assertSame(Op op, ClipRule rule, float[]... gradients) {
        try (EagerSession session = EagerSession.create()) {
            Ops tf = Ops.create(session);
            List<Operand<TFloat32>> theirs = new ArrayList<>();
            List<Operand<TFloat32>> ours = new ArrayList<>();
            GradientClipperBuilder builder = GradientClipper.builder();
            for (float[] gradient : gradients) {
                theirs.add(tf.constant(gradient));
                // A product is memory of its own, which a constant's need not be.
                Operand<TFloat32> mine = tf.math.mul(tf.constant(gradient), tf.constant(1f));
                ours.add(mine);
                builder.add(TensorFlowBuffers.wrap(mine.asTensor()));
            }
            List<Operand<TFloat32>> expected = op.apply(tf, theirs);
            try (GradientClipper clipper = builder.build()) {
                clipper.clip(rule);
            }
            for (int i = 0; i < gradients.length; i++) {
                float[] want = values(expected.get(i));
                float[] got = values(ours.get(i));
                for (int k = 0; k < want.length; k++) {
                    double allowed = Float.isFinite(want[k]) ? FLOAT * Math.abs(want[k]) : 0;
                    assertEquals(want[k], got[k], allowed, rule + " of element " + k + " of " + i);
                }
            }
        }
    }

    private static float[] random(int seed, int length, double scale) {
        Random random = new Random(seed);
        float[] values = new float[length];
        for (int i = 0; i < length; i++) values[i] = (float) (random.nextGaussian() * scale);
        return values;
    }

    private static ClipRule globalNorm(double c) {
        return ClipRule.globalNorm(c).withConvention(Convention.TENSORFLOW);
    }

    private static ClipRule norm(double c) {
        return ClipRule.perTensorNorm(c).withConvention(Convention.TENSORFLOW);
    }

    private static ClipRule averageNorm(double c) {
        return ClipRule.averageNorm(c).withConvention(Convention.TENSORFLOW);
    }

    @Test
    void gradientsOfManySizes() {
        for (float c : new float[] {0.01f, 1, 5, 1000}) {
            for (double scale : new double[] {1e-3, 1, 100}) {
                float[][] gradients = {random(1, 300, scale), random(2, 7, scale / 10), {3, 4}, {0, 0, 0}, {100, 100}};
                assertSame(clipByGlobalNorm(c), globalNorm(c), gradients);
                assertSame(each(clipPerTensorNorm(c)), norm(c), gradients);
                assertSame(each(clipByAverageNorm(c)), averageNorm(c), gradients);
                assertSame(
                        each((tf, g) -> tf.clipByValue(g, tf.constant(-c), tf.constant(c))),
                        ClipRule.value(c),
                        gradients);
            }
        }
    }

    @Test
    void aNormEqualToTheThreshold() {
        float[] five = {3, 4};
        assertSame(clipByGlobalNorm(5), globalNorm(5), five);
        assertSame(each(clipPerTensorNorm(5)), norm(5), five);
        assertSame(each(clipByAverageNorm(2.5f)), averageNorm(2.5), five);
    }

    @Test
    void zeros() {
        float[] zeros = {0, -0f, 0};
        assertSame(clipByGlobalNorm(1), globalNorm(1), zeros);
        assertSame(each(clipPerTensorNorm(1)), norm(1), zeros);
        assertSame(each(clipByAverageNorm(1)), averageNorm(1), zeros);
    }

    @Test
    void notFinite() {
        for (float odd : new float[] {INF, -INF, Float.NaN}) {
            float[][] gradients = {{3, odd, 4}, {30, 40}};
            assertSame(clipByGlobalNorm(5), globalNorm(5), gradients);
            assertSame(each(clipPerTensorNorm(5)), norm(5), gradients);
        }
        // TensorFlow's rsqrt of NaN is NaN, and of infinity 0.
        assertSame(each(clipByAverageNorm(5)), averageNorm(5), new float[] {3, INF}, new float[] {3, Float.NaN});
    }

    /** TensorFlow's sum of squares is infinite: its clip by global norm makes NaN of finite gradients. */
    @Test
    void squaresThatOverflowAFloatAreClippedHere() {
        try (EagerSession session = EagerSession.create()) {
            Ops tf = Ops.create(session);
            Operand<TFloat32> gradient = tf.math.mul(tf.constant(new float[] {3e20f, 4e20f}), tf.constant(1f));
            Operand<TFloat32> theirs =
                    clipByGlobalNorm(5).apply(tf, List.of(gradient)).get(0);
            assertTrue(Float.isNaN(values(theirs)[0]));
            try (GradientClipper clipper = GradientClipper.of(TensorFlowBuffers.wrap(gradient.asTensor()))) {
                ClipResult result = clipper.clip(globalNorm(5));
                assertEquals(5e20, result.globalNorm(), 1e-6 * 5e20);
                assertFalse(result.nonFinite());
            }
            assertEquals(3, values(gradient)[0], 1e-6);
            assertEquals(4, values(gradient)[1], 1e-6);
        }
    }
}
