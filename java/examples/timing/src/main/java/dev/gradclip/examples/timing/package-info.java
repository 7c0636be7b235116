// SPDX-License-Identifier: Apache-2.0
/** What the frameworks' examples time their steps with. */
@NullMarked
package dev.gradclip.examples.timing;

import org.jspecify.annotations.NullMarked;
