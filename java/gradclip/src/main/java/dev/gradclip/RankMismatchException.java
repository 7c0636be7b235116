// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import org.jspecify.annotations.Nullable;

/**
 * Thrown if what the ranks hold does not cover every tensor exactly once, or if they do not ask for the same thing. The
 * text is the same on every rank, and nothing was changed on any.
 *
 * <pre>{@code
 * catch (RankMismatchException e) {
 *     log.error("{} on ranks {}: {}", e.tensor(), e.ranks(), e.getMessage());
 * }
 * }</pre>
 */
public final class RankMismatchException extends IllegalArgumentException {
    private static final long serialVersionUID = 1;

    private final @Nullable String tensor;
    private final int[] ranks;

    /** Names the tensor, or null where it is about none, and the ranks that do not go together. */
    public RankMismatchException(@Nullable String tensor, String message, int... ranks) {
        super(message);
        this.tensor = tensor;
        this.ranks = ranks.clone();
    }

    /** The name of the tensor; null where it is about the rule, or about a rank as a whole. */
    public @Nullable String tensor() {
        return tensor;
    }

    /** The ranks that do not go together. */
    public int[] ranks() {
        return ranks.clone();
    }
}
