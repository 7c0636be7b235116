// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

/** The calls that are timed. */
public enum Case {
    /** The norm alone: one pass. */
    NORM("norm"),
    /** A global-norm clip below its threshold: one pass. */
    DOES_NOT_BITE("clip, does not bite"),
    /** A global-norm clip above it: two passes. */
    BITES("clip, bites"),
    /** A clamp with one element in a hundred over the limit: one pass. */
    CLAMP("clamp, 1% over");

    private final String title;

    Case(String title) {
        this.title = title;
    }

    /** Returns the name for people. */
    public String title() {
        return title;
    }
}
