// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import java.util.List;

/** The calls that are timed. */
public enum Case {
    /** The norm alone: one pass. */
    NORM("norm"),
    /** A global-norm clip below its threshold: one pass. */
    DOES_NOT_BITE("clip, does not bite"),
    /** A global-norm clip above it: two passes. */
    BITES("clip, bites"),
    /** A clamp with one element in a hundred over the limit: one pass. */
    CLAMP("clamp, 1% over"),
    /** A global-norm clip that bites and an update of the weights, in one call: gradients are read twice. */
    STEP("clip and update in one"),
    /** The same clip, which writes the gradients, and then the same update by itself. */
    CLIP_THEN_UPDATE("clip, then update");

    /** The cases of a {@link Workload}. */
    public static final List<Case> CLIPS = List.of(NORM, DOES_NOT_BITE, BITES, CLAMP);

    /** The cases of an {@link UpdateWorkload}. */
    public static final List<Case> UPDATES = List.of(CLIP_THEN_UPDATE, STEP);

    private final String title;

    Case(String title) {
        this.title = title;
    }

    /** Returns the name for people. */
    public String title() {
        return title;
    }
}
