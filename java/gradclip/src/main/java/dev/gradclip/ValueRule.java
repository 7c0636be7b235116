// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A rule that clamps every element: {@link ClipRule#value(double, double)}.
 *
 * @param min the lower limit, in the precision that elements are added up in (float, or double for FLOAT64); a finite
 *     limit is kept within the range of the elements' type
 * @param max the upper limit, likewise
 * @param inverseScale the factor that gradients are multiplied by first: {@link ClipRule#withInverseScale}
 * @param nonFinitePolicy the policy for gradients that hold a NaN or an infinity
 */
public record ValueRule(double min, double max, double inverseScale, NonFinitePolicy nonFinitePolicy)
        implements ClipRule {
    /** Checks the limits. */
    public ValueRule {
        if (!(min <= max)) {
            throw new IllegalArgumentException(
                    "min must not be above max and neither may be NaN, but they are " + min + " and " + max);
        }
        NormRule.requireInverseScale(inverseScale);
        Objects.requireNonNull(nonFinitePolicy, "nonFinitePolicy");
    }

    @Override
    public String name() {
        return "value";
    }

    @Override
    public ValueRule withNonFinitePolicy(NonFinitePolicy policy) {
        return new ValueRule(min, max, inverseScale, policy);
    }

    @Override
    public ValueRule withInverseScale(double factor) {
        return new ValueRule(min, max, factor, nonFinitePolicy);
    }

    @Override
    public ValueRule times(double factor) {
        return new ValueRule(min * factor, max * factor, inverseScale, nonFinitePolicy);
    }

    /** Written out for the reason that {@link NormRule#equals} gives. */
    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof ValueRule that
                && Double.compare(min, that.min) == 0
                && Double.compare(max, that.max) == 0
                && Double.compare(inverseScale, that.inverseScale) == 0
                && nonFinitePolicy == that.nonFinitePolicy;
    }

    @Override
    public int hashCode() {
        return 31 * Double.hashCode(min) + Double.hashCode(max);
    }
}
