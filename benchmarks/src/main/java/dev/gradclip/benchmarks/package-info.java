// SPDX-License-Identifier: Apache-2.0
/** JMH benchmarks of clipping and the tables made from them. */
@NullMarked
package dev.gradclip.benchmarks;

import org.jspecify.annotations.NullMarked;
