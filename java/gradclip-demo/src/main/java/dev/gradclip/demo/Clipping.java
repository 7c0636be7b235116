// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.ClipRule;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * A way to clip, or none.
 *
 * @param name as tables call it
 * @param rule null to leave gradients as they are
 */
public record Clipping(String name, @Nullable ClipRule rule) {
    static final Clipping NONE = new Clipping("none", null);

    static Clipping value(double limit) {
        return new Clipping("value " + brief(limit), ClipRule.value(limit));
    }

    static Clipping norm(double maxNorm) {
        return new Clipping("norm " + brief(maxNorm), ClipRule.globalNorm(maxNorm));
    }

    /** By a rule's own name. */
    static Clipping of(ClipRule rule) {
        return new Clipping(rule.name(), rule);
    }

    private static String brief(double number) {
        return String.format(Locale.ROOT, "%.3g", number).replaceAll("\\.?0+$", "");
    }
}
