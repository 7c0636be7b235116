// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** Small files that once were clipped wrongly, or not at all. */
public final class Cases {
    private Cases() {}

    /** A copy of a file among the test resources, which may be clipped in place. */
    public static Path copy(String name, Path folder) throws IOException {
        Path copy = folder.resolve(name);
        try (InputStream stream = Cases.class.getResourceAsStream("/cases/" + name + ".safetensors")) {
            if (stream == null) throw new IOException("no case " + name);
            Files.copy(stream, copy);
        }
        return copy;
    }
}
