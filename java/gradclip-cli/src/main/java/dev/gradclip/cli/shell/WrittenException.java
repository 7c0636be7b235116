// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.io.IOException;
import java.nio.file.Path;

/** A failure after the output was in its place: whoever repeats the command in place clips twice. */
public final class WrittenException extends IOException {
    private static final long serialVersionUID = 1;

    public WrittenException(Path output, String failure, Throwable cause) {
        super(output + ": is written, but " + failure, cause);
    }
}
