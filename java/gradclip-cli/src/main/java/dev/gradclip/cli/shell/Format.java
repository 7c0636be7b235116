// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

/** The forms of a report; {@code --format} takes their names in any case. */
public enum Format {
    TEXT,
    JSON
}
