// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.io.IOException;

/** A file cannot be taken as it is: it is malformed, no regular file, or not there. The message names the fault. */
public final class BadFileException extends IOException {
    private static final long serialVersionUID = 1;

    public BadFileException(String message) {
        super(message);
    }

    public BadFileException(String message, Throwable cause) {
        super(message, cause);
    }
}
