// SPDX-License-Identifier: Apache-2.0
/** Loads the native libraries and declares their methods; nothing here knows what they are called for. */
@NullMarked
package dev.gradclip.internal.jni;

import org.jspecify.annotations.NullMarked;
