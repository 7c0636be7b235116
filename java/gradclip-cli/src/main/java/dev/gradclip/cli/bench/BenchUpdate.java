// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.Update;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The words that {@code --update} takes. */
public enum BenchUpdate {
    NONE,
    SGD,
    MOMENTUM,
    ADAMW;

    /** Returns the update, whose rate is of no account; null for none. */
    @Nullable
    Update update() {
        return switch (this) {
            case NONE -> null;
            case SGD -> Update.sgd(0);
            case MOMENTUM -> Update.sgd(0).withMomentum(0.9);
            case ADAMW -> Update.adamW(0);
        };
    }

    /** Returns the word as it is typed. */
    String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
