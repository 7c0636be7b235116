// SPDX-License-Identifier: Apache-2.0
/**
 * The norm over the steps of a training: {@link dev.gradclip.report.RunRecorder} writes a line for each clip into a run
 * file, {@link dev.gradclip.report.RunReader} reads it, and {@link dev.gradclip.report.RunPage} draws runs as a web
 * page. TensorBoard shows them, too: {@link dev.gradclip.report.TensorBoardLog}.
 *
 * @since 0.1.0
 */
@NullMarked
package dev.gradclip.report;

import org.jspecify.annotations.NullMarked;
