// SPDX-License-Identifier: Apache-2.0
/** Loads the native libraries and declares their methods, without knowledge of their callers. */
@NullMarked
package dev.gradclip.internal.jni;

import org.jspecify.annotations.NullMarked;
