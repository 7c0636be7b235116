// SPDX-License-Identifier: Apache-2.0
/** What clips find, as Micrometer's meters. */
@NullMarked
package dev.gradclip.micrometer;

import org.jspecify.annotations.NullMarked;
