// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

/** A native library that can't be used: why, and what to do. */
final class NotLoadedException extends Exception {
    private static final long serialVersionUID = 1;

    private final String remedy;

    NotLoadedException(String reason, String remedy) {
        super(reason);
        this.remedy = remedy;
    }

    Availability availability() {
        return Availability.no(String.valueOf(getMessage()), remedy);
    }
}
