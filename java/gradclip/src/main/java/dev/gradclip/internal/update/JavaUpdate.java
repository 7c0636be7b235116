// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.update;

/**
 * The arithmetic of an update in plain Java, the readable specification of cuda/src/common/update.hpp: float where
 * weights are not FLOAT64, else double, each operation rounded by itself. NaN results are the canonical NaN.
 */
public final class JavaUpdate {
    private static final float FLOAT_NAN = Float.intBitsToFloat(0x7fffffff);

    /** Coefficients from here on round to an infinite float. */
    private static final double BEYOND_FLOAT = 0x1.ffffffp127;

    private JavaUpdate() {}

    /**
     * Updates {@code n} weights in float, and their state, from gradients.
     *
     * @return the number of gradients that a limit changed
     */
    public static int update(
            UpdateTable t, int segment, float[] g, int gAt, float[] p, int pAt, float[] s1, float[] s2, int n) {
        double exact = t.coefficient(segment);
        float coefficient = (float) exact;
        boolean inDouble = exact < 0x1p-100 || exact >= BEYOND_FLOAT;
        float min = (float) t.min(segment);
        float max = (float) t.max(segment);
        float decay = (float) (1 - t.learningRate() * t.weightDecay());
        float weightDecay = (float) t.weightDecay();
        boolean decoupled = t.weightDecay() != 0 && t.has(UpdateTable.DECOUPLED);
        boolean coupled = t.weightDecay() != 0 && !t.has(UpdateTable.DECOUPLED);
        float rate = (float) t.learningRate();
        float momentum = (float) t.momentum();
        float undamped = (float) (1 - t.dampening());
        boolean nesterov = t.has(UpdateTable.NESTEROV);
        boolean first = t.first(segment);
        float keep2 = (float) t.beta2();
        float gain1 = (float) (1 - t.beta1());
        float gain2 = (float) (1 - t.beta2());
        float epsilon = (float) t.epsilon();
        float stepSize = (float) t.stepSize(segment);
        float root = (float) t.rootCorrection2(segment);
        UpdateForm form = t.form();
        int changed = 0;
        for (int i = 0; i < n; i++) {
            float x = g[gAt + i];
            if (coefficient != 1) x = inDouble ? (float) (x * exact) : x * coefficient;
            if (x > max) {
                x = max;
                changed++;
            } else if (x < min) {
                x = min;
                changed++;
            }
            float w = p[pAt + i];
            if (decoupled && form == UpdateForm.ADAM) w = w * decay;
            if (coupled) x = x + weightDecay * w;
            switch (form) {
                case SGD -> w = w - rate * x;
                case SGD_MOMENTUM -> {
                    float b = canonical(first ? x : momentum * s1[i] + undamped * x);
                    s1[i] = b;
                    w = w - rate * (nesterov ? x + momentum * b : b);
                }
                case ADAM -> {
                    float m = canonical(s1[i] + (x - s1[i]) * gain1);
                    float v = canonical(keep2 * s2[i] + (gain2 * x) * x);
                    s1[i] = m;
                    s2[i] = v;
                    w = w - (stepSize * m) / ((float) Math.sqrt(v) / root + epsilon);
                }
            }
            p[pAt + i] = canonical(w);
        }
        return changed;
    }

    /** Updates weights that are FLOAT64, as the method for float does. */
    public static int update(
            UpdateTable t, int segment, double[] g, int gAt, double[] p, int pAt, double[] s1, double[] s2, int n) {
        double coefficient = t.coefficient(segment);
        double min = t.min(segment);
        double max = t.max(segment);
        double decay = 1 - t.learningRate() * t.weightDecay();
        double weightDecay = t.weightDecay();
        boolean coupled = weightDecay != 0 && !t.has(UpdateTable.DECOUPLED);
        boolean decoupled = weightDecay != 0 && t.has(UpdateTable.DECOUPLED);
        double rate = t.learningRate();
        double momentum = t.momentum();
        double undamped = 1 - t.dampening();
        boolean nesterov = t.has(UpdateTable.NESTEROV);
        boolean first = t.first(segment);
        double keep2 = t.beta2();
        double gain1 = 1 - t.beta1();
        double gain2 = 1 - t.beta2();
        double epsilon = t.epsilon();
        double stepSize = t.stepSize(segment);
        double root = t.rootCorrection2(segment);
        UpdateForm form = t.form();
        int changed = 0;
        for (int i = 0; i < n; i++) {
            double x = g[gAt + i];
            if (coefficient != 1) x = x * coefficient;
            if (x > max) {
                x = max;
                changed++;
            } else if (x < min) {
                x = min;
                changed++;
            }
            double w = p[pAt + i];
            if (decoupled && form == UpdateForm.ADAM) w = w * decay;
            if (coupled) x = x + weightDecay * w;
            switch (form) {
                case SGD -> w = w - rate * x;
                case SGD_MOMENTUM -> {
                    double b = canonical(first ? x : momentum * s1[i] + undamped * x);
                    s1[i] = b;
                    w = w - rate * (nesterov ? x + momentum * b : b);
                }
                case ADAM -> {
                    double m = canonical(s1[i] + (x - s1[i]) * gain1);
                    double v = canonical(keep2 * s2[i] + (gain2 * x) * x);
                    s1[i] = m;
                    s2[i] = v;
                    w = w - (stepSize * m) / (Math.sqrt(v) / root + epsilon);
                }
            }
            p[pAt + i] = canonical(w);
        }
        return changed;
    }

    private static float canonical(float x) {
        return Float.isNaN(x) ? FLOAT_NAN : x;
    }

    private static double canonical(double x) {
        return Double.isNaN(x) ? Double.NaN : x;
    }
}
