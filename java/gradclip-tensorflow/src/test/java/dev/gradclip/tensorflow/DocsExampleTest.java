// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.tensorflow;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.gradclip.DocsExample;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example in docs/tensorflow.md compiles against this build, runs, and clips. */
class DocsExampleTest {
    @TempDir
    private Path folder = Path.of("");

    @Test
    void theExampleClips() throws Exception {
        DocsExample example = DocsExample.run("tensorflow.md", folder);
        assertEquals(0, example.exit(), example::errors);
        assertEquals("2 gradients, clipped\n".repeat(3), example.output());
    }
}
