// SPDX-License-Identifier: Apache-2.0
/** JVMs on one machine that train one model, with gradients that are sharded over them. */
@NullMarked
package dev.gradclip.examples.distributed;

import org.jspecify.annotations.NullMarked;
