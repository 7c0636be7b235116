// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import dev.gradclip.NonFiniteGradientException;
import java.io.IOException;
import java.nio.file.Path;

/** A file holds a NaN or an infinity and no option says to go on: the library's message in the command's words. */
public final class NonFiniteFileException extends IOException {
    private static final long serialVersionUID = 1;

    public NonFiniteFileException(Path in, NonFiniteGradientException cause) {
        super(
                in + ": tensor " + Printable.quoted(cause.tensor())
                        + " holds a NaN or an infinity; nothing was written. 'gradclip inspect' counts them;"
                        + " --non-finite skip, zero or propagate goes on",
                cause);
    }
}
