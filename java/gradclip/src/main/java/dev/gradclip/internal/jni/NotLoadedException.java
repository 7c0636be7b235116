// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

/** A native library can't be used; carries the reason and the advice to the user. */
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
