// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import java.util.Locale;

/** How a report is printed. */
enum Format {
    TEXT,
    JSON;

    /** As typed, and as picocli lists what it expected. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
