// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.nio.FloatBuffer;
import java.util.List;

/**
 * Clips arrays in one line: nothing to build, nothing to close, safe from any thread on different arrays.
 *
 * <p>A training loop that clips the same tensors step after step does better with a {@link GradientClipper}, which binds
 * them once.
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

    /** As {@link #clipByGlobalNorm(double, float[][])}, for FLOAT64. */
    public static ClipResult clipByGlobalNorm(double maxNorm, double[]... gradients) {
        return clip(ClipRule.globalNorm(maxNorm), gradients);
    }

    /** As {@link #clipByGlobalNorm(double, float[][])}, for buffers, position to limit. */
    public static ClipResult clipByGlobalNorm(double maxNorm, List<FloatBuffer> gradients) {
        return clip(ClipRule.globalNorm(maxNorm), gradients);
    }

    /** Scales each array by {@code min(1, maxNorm / (its norm + 1e-6))}: {@link ClipRule#perTensorNorm}. */
    public static ClipResult clipPerTensorNorm(double maxNorm, float[]... gradients) {
        return clip(ClipRule.perTensorNorm(maxNorm), gradients);
    }

    /** As {@link #clipPerTensorNorm(double, float[][])}, for FLOAT64. */
    public static ClipResult clipPerTensorNorm(double maxNorm, double[]... gradients) {
        return clip(ClipRule.perTensorNorm(maxNorm), gradients);
    }

    /** As {@link #clipPerTensorNorm(double, float[][])}, for buffers, position to limit. */
    public static ClipResult clipPerTensorNorm(double maxNorm, List<FloatBuffer> gradients) {
        return clip(ClipRule.perTensorNorm(maxNorm), gradients);
    }

    /** Clamps every element to {@code [-limit, limit]}: {@link ClipRule#value(double)}. */
    public static ClipResult clipByValue(double limit, float[]... gradients) {
        return clip(ClipRule.value(limit), gradients);
    }

    /** As {@link #clipByValue(double, float[][])}, for FLOAT64. */
    public static ClipResult clipByValue(double limit, double[]... gradients) {
        return clip(ClipRule.value(limit), gradients);
    }

    /** As {@link #clipByValue(double, float[][])}, for buffers, position to limit. */
    public static ClipResult clipByValue(double limit, List<FloatBuffer> gradients) {
        return clip(ClipRule.value(limit), gradients);
    }

    /** Clamps every element to {@code [min, max]}: {@link ClipRule#value(double, double)}. */
    public static ClipResult clipByValue(double min, double max, float[]... gradients) {
        return clip(ClipRule.value(min, max), gradients);
    }

    /** As {@link #clipByValue(double, double, float[][])}, for FLOAT64. */
    public static ClipResult clipByValue(double min, double max, double[]... gradients) {
        return clip(ClipRule.value(min, max), gradients);
    }

    /** The L2 norm over all arrays; nothing is written. */
    public static double globalNorm(float[]... gradients) {
        try (GradientClipper clipper = bind(gradients)) {
            return clipper.globalNorm();
        }
    }

    /** As {@link #globalNorm(float[][])}, for FLOAT64. */
    public static double globalNorm(double[]... gradients) {
        try (GradientClipper clipper = bind(gradients)) {
            return clipper.globalNorm();
        }
    }

    /** As {@link #globalNorm(float[][])}, for buffers, position to limit; read-only ones too. */
    public static double globalNorm(List<FloatBuffer> gradients) {
        try (GradientClipper clipper = bind(gradients)) {
            return clipper.globalNorm();
        }
    }

    /** Clips by any rule. */
    public static ClipResult clip(ClipRule rule, float[]... gradients) {
        try (GradientClipper clipper = bind(gradients)) {
            return clipper.clip(rule);
        }
    }

    /** As {@link #clip(ClipRule, float[][])}, for FLOAT64. */
    public static ClipResult clip(ClipRule rule, double[]... gradients) {
        try (GradientClipper clipper = bind(gradients)) {
            return clipper.clip(rule);
        }
    }

    /** As {@link #clip(ClipRule, float[][])}, for buffers, position to limit. */
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
