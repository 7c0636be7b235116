// SPDX-License-Identifier: Apache-2.0
/** Shows the backends, the native library and the machine. */
@NullMarked
package dev.gradclip.cli.info;

import org.jspecify.annotations.NullMarked;
