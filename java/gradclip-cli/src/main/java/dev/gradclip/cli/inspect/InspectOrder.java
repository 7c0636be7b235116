// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

/** How the lines of {@code gradclip inspect} are sorted; the names are those that {@code --sort} takes. */
public enum InspectOrder {
    /** The largest share of the norm first; before them what has a NaN or an infinity, last what has no norm. */
    SHARE,
    /** As the file's header has them. */
    FILE
}
