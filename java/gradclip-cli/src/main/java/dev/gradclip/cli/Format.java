// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

/** How a report is printed; the names are what {@code --format} takes, in any case. */
enum Format {
    TEXT,
    JSON
}
