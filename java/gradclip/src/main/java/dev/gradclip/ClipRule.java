// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Objects;

/**
 * How gradients are clipped: a pure value that any clipper on any backend takes.
 *
 * <pre>{@code
 * ClipRule rule = ClipRule.globalNorm(1.0).withNonFinitePolicy(NonFinitePolicy.SKIP);
 * ClipResult result = clipper.clip(rule);
 * }</pre>
 */
public sealed interface ClipRule {
    /** PyTorch's epsilon, added to the norm before the threshold is divided by it. */
    double DEFAULT_EPSILON = 1e-6;

    /** The rule's name on the command line and in reports. */
    String name();

    /** What happens when a gradient holds a NaN or an infinity; {@link NonFinitePolicy#PROPAGATE} by default. */
    NonFinitePolicy nonFinitePolicy();

    /** The same rule under another policy. */
    ClipRule withNonFinitePolicy(NonFinitePolicy policy);

    /**
     * Scales all gradients by {@code min(1, maxNorm / (norm + 1e-6))}, norm taken over all of them (Pascanu et al. 2013;
     * PyTorch {@code clip_grad_norm_}).
     *
     * @param maxNorm 0 zeroes, infinity only measures
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static GlobalNorm globalNorm(double maxNorm) {
        return new GlobalNorm(maxNorm, NormType.L2, DEFAULT_EPSILON, NonFinitePolicy.PROPAGATE);
    }

    /**
     * Scales each tensor by {@code min(1, maxNorm / (its norm + 1e-6))} (Keras {@code clipnorm}, TensorFlow {@code
     * clip_by_norm}).
     *
     * @param maxNorm 0 zeroes, infinity only measures
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    static PerTensorNorm perTensorNorm(double maxNorm) {
        return new PerTensorNorm(maxNorm, NormType.L2, DEFAULT_EPSILON, NonFinitePolicy.PROPAGATE);
    }

    /**
     * Clamps every element to {@code [-limit, limit]} (PyTorch {@code clip_grad_value_}, Keras {@code clipvalue}).
     *
     * @throws IllegalArgumentException if limit is negative or NaN
     */
    static Value value(double limit) {
        if (!(limit >= 0)) {
            throw new IllegalArgumentException("limit must be 0 or more, but is " + limit);
        }
        return value(-limit, limit + 0.0);
    }

    /**
     * Clamps every element to {@code [min, max]}.
     *
     * @throws IllegalArgumentException if either is NaN or min is above max
     */
    static Value value(double min, double max) {
        return new Value(min, max, NonFinitePolicy.PROPAGATE);
    }

    /**
     * One norm, one coefficient: {@link ClipRule#globalNorm}.
     *
     * @param maxNorm threshold, 0 or more
     * @param normType which norm
     * @param epsilon added to the norm, 0 or more; with 0 a norm equal to the threshold is left unchanged
     * @param nonFinitePolicy see {@link NonFinitePolicy}
     */
    record GlobalNorm(double maxNorm, NormType normType, double epsilon, NonFinitePolicy nonFinitePolicy)
            implements ClipRule {
        public GlobalNorm {
            requireNorm(maxNorm, epsilon);
            maxNorm += 0.0; // -0.0 would flip the signs of what it zeroes
            Objects.requireNonNull(normType, "normType");
            Objects.requireNonNull(nonFinitePolicy, "nonFinitePolicy");
        }

        @Override
        public String name() {
            return "global-norm";
        }

        /** The same rule with another norm. */
        public GlobalNorm withNormType(NormType type) {
            return new GlobalNorm(maxNorm, type, epsilon, nonFinitePolicy);
        }

        /** The same rule with another epsilon. */
        public GlobalNorm withEpsilon(double value) {
            return new GlobalNorm(maxNorm, normType, value, nonFinitePolicy);
        }

        @Override
        public GlobalNorm withNonFinitePolicy(NonFinitePolicy policy) {
            return new GlobalNorm(maxNorm, normType, epsilon, policy);
        }
    }

    /**
     * One norm and one coefficient a tensor: {@link ClipRule#perTensorNorm}.
     *
     * @param maxNorm threshold, 0 or more
     * @param normType which norm
     * @param epsilon added to the norm, 0 or more; with 0 a norm equal to the threshold is left unchanged
     * @param nonFinitePolicy see {@link NonFinitePolicy}
     */
    record PerTensorNorm(double maxNorm, NormType normType, double epsilon, NonFinitePolicy nonFinitePolicy)
            implements ClipRule {
        public PerTensorNorm {
            requireNorm(maxNorm, epsilon);
            maxNorm += 0.0; // -0.0 would flip the signs of what it zeroes
            Objects.requireNonNull(normType, "normType");
            Objects.requireNonNull(nonFinitePolicy, "nonFinitePolicy");
        }

        @Override
        public String name() {
            return "per-tensor-norm";
        }

        /** The same rule with another norm. */
        public PerTensorNorm withNormType(NormType type) {
            return new PerTensorNorm(maxNorm, type, epsilon, nonFinitePolicy);
        }

        /** The same rule with another epsilon. */
        public PerTensorNorm withEpsilon(double value) {
            return new PerTensorNorm(maxNorm, normType, value, nonFinitePolicy);
        }

        @Override
        public PerTensorNorm withNonFinitePolicy(NonFinitePolicy policy) {
            return new PerTensorNorm(maxNorm, normType, epsilon, policy);
        }
    }

    /**
     * A clamp of every element: {@link ClipRule#value(double, double)}.
     *
     * @param min lower limit, in the precision the elements are added up in (float, or double for FLOAT64)
     * @param max upper limit, likewise
     * @param nonFinitePolicy see {@link NonFinitePolicy}
     */
    record Value(double min, double max, NonFinitePolicy nonFinitePolicy) implements ClipRule {
        public Value {
            if (!(min <= max)) {
                throw new IllegalArgumentException(
                        "min must not be above max and neither may be NaN, but they are " + min + " and " + max);
            }
            Objects.requireNonNull(nonFinitePolicy, "nonFinitePolicy");
        }

        @Override
        public String name() {
            return "value";
        }

        @Override
        public Value withNonFinitePolicy(NonFinitePolicy policy) {
            return new Value(min, max, policy);
        }
    }

    private static void requireNorm(double maxNorm, double epsilon) {
        if (!(maxNorm >= 0)) {
            throw new IllegalArgumentException("maxNorm must be 0 or more (infinity measures only), but is " + maxNorm);
        }
        if (!(epsilon >= 0) || Double.isInfinite(epsilon)) {
            throw new IllegalArgumentException("epsilon must be finite and 0 or more, but is " + epsilon);
        }
    }
}
