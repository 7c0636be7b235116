// SPDX-License-Identifier: Apache-2.0
/** Makes coefficients of norms: {@link dev.gradclip.internal.rule.NormLimit} has the formula of each form. */
@NullMarked
package dev.gradclip.internal.rule;

import org.jspecify.annotations.NullMarked;
