// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import java.io.IOException;

/** A file is no run file, or is damaged before its last line. */
public final class BadRunException extends IOException {
    private static final long serialVersionUID = 1;

    BadRunException(String message) {
        super(message);
    }
}
