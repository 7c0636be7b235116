// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

/** The forms of a report; the names are those that {@code --format} takes, in any case. */
public enum Format {
    TEXT,
    JSON
}
