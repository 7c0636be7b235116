// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** Thrown if a backend is requested that cannot run here; the message says why and what to do. */
public final class BackendUnavailableException extends IllegalStateException {
    private static final long serialVersionUID = 1;

    BackendUnavailableException(Backend backend) {
        super("backend " + backend + " is not available: " + backend.reason() + ". " + backend.remedy());
    }
}
