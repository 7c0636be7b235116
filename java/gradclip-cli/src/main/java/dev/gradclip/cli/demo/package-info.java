// SPDX-License-Identifier: Apache-2.0
/** Runs the experiments of {@link dev.gradclip.demo.Demo} and writes their figures and curves. */
@NullMarked
package dev.gradclip.cli.demo;

import org.jspecify.annotations.NullMarked;
