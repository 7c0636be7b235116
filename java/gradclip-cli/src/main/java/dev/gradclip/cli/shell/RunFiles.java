// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Judges the run files that a command is given. */
public final class RunFiles {
    private RunFiles() {}

    /**
     * Requires a file that can be read.
     *
     * @throws BadFileException if it is not there, or is a folder
     */
    public static void require(Path run) throws IOException {
        if (Files.isDirectory(run)) throw new BadFileException(run + ": is a folder, not a run file");
        if (!Files.exists(run)) {
            throw new BadFileException(
                    run + ": there is no such file; a RunRecorder writes one, or gradclip demo" + " --record");
        }
    }
}
