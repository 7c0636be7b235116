// SPDX-License-Identifier: Apache-2.0
/** One norm over the partitions of gradients in a Spark cluster. */
@NullMarked
package dev.gradclip.examples.spark;

import org.jspecify.annotations.NullMarked;
