// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * The verbs that a {@link GradientClipper} and every framework's clipper share: each clips one set of gradients in
 * place, or measures it. Only {@link #clip} and {@link #globalNorm(NormType)} differ between clippers.
 *
 * <p>One thread at a time uses a clipper; a second one is refused, not queued. Different clippers run in parallel.
 *
 * <pre>{@code
 * ClipResult result = clipper.clipByGlobalNorm(1.0);
 * }</pre>
 */
public interface Clipper {
    /**
     * Clips all gradients in place by a rule; complete on return.
     *
     * @throws NonFiniteGradientException under the policy ERROR; nothing was changed
     * @throws IllegalStateException if the clipper is closed, in use by another thread, or would write to read-only
     *     memory
     */
    ClipResult clip(ClipRule rule);

    /** Measures a norm over all gradients; nothing is written. */
    double globalNorm(NormType type);

    /** Measures the L2 norm over all gradients; nothing is written. */
    default double globalNorm() {
        return globalNorm(NormType.L2);
    }

    /** Scales all gradients by {@code min(1, maxNorm / (globalNorm + 1e-6))}: {@link ClipRule#globalNorm}. */
    default ClipResult clipByGlobalNorm(double maxNorm) {
        return clip(ClipRule.globalNorm(maxNorm));
    }

    /** Scales each tensor by {@code min(1, maxNorm / (its norm + 1e-6))}: {@link ClipRule#perTensorNorm}. */
    default ClipResult clipPerTensorNorm(double maxNorm) {
        return clip(ClipRule.perTensorNorm(maxNorm));
    }

    /** Clamps every element to {@code [-limit, limit]}: {@link ClipRule#value(double)}. */
    default ClipResult clipByValue(double limit) {
        return clip(ClipRule.value(limit));
    }

    /** Clamps every element to {@code [min, max]}: {@link ClipRule#value(double, double)}. */
    default ClipResult clipByValue(double min, double max) {
        return clip(ClipRule.value(min, max));
    }
}
