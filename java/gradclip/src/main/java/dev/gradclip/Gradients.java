// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.nio.FloatBuffer;
import java.util.List;

/**
 * Clips arrays in one line, with nothing to build and nothing to close. Threads may clip different arrays at the same
 * time.
 *
 * <p>A training loop that clips the same tensors step after step does better with a {@link GradientClipper}, which
 * binds them once.
 *
 * <pre>{@code
 * Gradients.clipByGlobalNorm(1.0, weights, biases);
 * }</pre>
 */
public final class Gradients {
    private Gradients() {}

    /** Scales all arrays by {@code min(1, maxNorm / (norm + 1e-6))}: {@link ClipRule#globalNorm}. */
    public static ClipResult clipByGlobalNorm(double maxNorm, float[]... gradients) {
        return clip(ClipRule.globalNorm(maxNorm), gradients);
    }

    /** Scales FLOAT64 arrays as {@link #clipByGlobalNorm(double, float[][])} does. */
    public static ClipResult clipByGlobalNorm(double maxNorm, double[]... gradients) {
        return clip(ClipRule.globalNorm(maxNorm), gradients);
    }

    /** Scales buffers from position to limit, as {@link #clipByGlobalNorm(double, float[][])} does. */
    public static ClipResult clipByGlobalNorm(double maxNorm, List<FloatBuffer> gradients) {
        return clip(ClipRule.globalNorm(maxNorm), gradients);
    }

    /** Scales each array by {@code min(1, maxNorm / (its norm + 1e-6))}: {@link ClipRule#perTensorNorm}. */
    public static ClipResult clipPerTensorNorm(double maxNorm, float[]... gradients) {
        return clip(ClipRule.perTensorNorm(maxNorm), gradients);
    }

    /** Scales FLOAT64 arrays as {@link #clipPerTensorNorm(double, float[][])} does. */
    public static ClipResult clipPerTensorNorm(double maxNorm, double[]... gradients) {
        return clip(ClipRule.perTensorNorm(maxNorm), gradients);
    }

    /** Scales buffers from position to limit, as {@link #clipPerTensorNorm(double, float[][])} does. */
    public static ClipResult clipPerTensorNorm(double maxNorm, List<FloatBuffer> gradients) {
        return clip(ClipRule.perTensorNorm(maxNorm), gradients);
    }

    /** Clamps every element to {@code [-limit, limit]}: {@link ClipRule#value(double)}. */
    public static ClipResult clipByValue(double limit, float[]... gradients) {
        return clip(ClipRule.value(limit), gradients);
    }

    /** Clamps FLOAT64 arrays as {@link #clipByValue(double, float[][])} does. */
    public static ClipResult clipByValue(double limit, double[]... gradients) {
        return clip(ClipRule.value(limit), gradients);
    }

    /** Clamps buffers from position to limit, as {@link #clipByValue(double, float[][])} does. */
    public static ClipResult clipByValue(double limit, List<FloatBuffer> gradients) {
        return clip(ClipRule.value(limit), gradients);
    }

    /** Clamps every element to {@code [min, max]}: {@link ClipRule#value(double, double)}. */
    public static ClipResult clipByValue(double min, double max, float[]... gradients) {
        return clip(ClipRule.value(min, max), gradients);
    }

    /** Clamps FLOAT64 arrays as {@link #clipByValue(double, double, float[][])} does. */
    public static ClipResult clipByValue(double min, double max, double[]... gradients) {
        return clip(ClipRule.value(min, max), gradients);
    }

    /** The L2 norm over all arrays; nothing is written. */
    public static double globalNorm(float[]... gradients) {
        try (GradientClipper clipper = bind(gradients)) {
            return clipper.globalNorm();
        }
    }

    /** Measures FLOAT64 arrays as {@link #globalNorm(float[][])} does. */
    public static double globalNorm(double[]... gradients) {
        try (GradientClipper clipper = bind(gradients)) {
            return clipper.globalNorm();
        }
    }

    /** Measures buffers, also read-only ones, from position to limit as {@link #globalNorm(float[][])} does. */
    public static double globalNorm(List<FloatBuffer> gradients) {
        try (GradientClipper clipper = bind(gradients)) {
            return clipper.globalNorm();
        }
    }

    /** Clips all arrays by a rule. */
    public static ClipResult clip(ClipRule rule, float[]... gradients) {
        try (GradientClipper clipper = bind(gradients)) {
            return clipper.clip(rule);
        }
    }

    /** Clips FLOAT64 arrays as {@link #clip(ClipRule, float[][])} does. */
    public static ClipResult clip(ClipRule rule, double[]... gradients) {
        try (GradientClipper clipper = bind(gradients)) {
            return clipper.clip(rule);
        }
    }

    /** Clips buffers from position to limit, as {@link #clip(ClipRule, float[][])} does. */
    public static ClipResult clip(ClipRule rule, List<FloatBuffer> gradients) {
        try (GradientClipper clipper = bind(gradients)) {
            return clipper.clip(rule);
        }
    }

    private static GradientClipper bind(float[][] gradients) {
        return bind(HostBuffer.wrapAll(gradients));
    }

    private static GradientClipper bind(double[][] gradients) {
        return bind(HostBuffer.wrapAll(gradients));
    }

    private static GradientClipper bind(List<FloatBuffer> gradients) {
        return bind(HostBuffer.wrapAll(gradients));
    }

    private static GradientClipper bind(HostBuffer[] gradients) {
        GradientClipperBuilder builder = GradientClipper.builder().withoutLeakReport();
        for (HostBuffer gradient : gradients) builder.add(gradient);
        return builder.build();
    }
}
