// SPDX-License-Identifier: Apache-2.0
/** Draws run files as a web page. */
@NullMarked
package dev.gradclip.cli.report;

import org.jspecify.annotations.NullMarked;
