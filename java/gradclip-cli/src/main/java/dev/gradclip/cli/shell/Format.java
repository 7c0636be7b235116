// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

/** How a report is printed; the names are what {@code --format} takes, in any case. */
public enum Format {
    TEXT,
    JSON
}
