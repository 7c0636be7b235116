// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.gradclip.DocsExample;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** The examples for LibTorch in docs/ compile against this build, run, and clip. */
@ExtendWith(Torch.class)
class DocsExampleTest {
    @TempDir
    private Path folder = Path.of("");

    @Test
    void theExampleClips() throws Exception {
        DocsExample example = DocsExample.run("javacpp.md", folder);
        assertEquals(0, example.exit(), example::errors);
        assertEquals("2 gradients, clipped\n".repeat(3), example.output());
        assertEquals("", example.errors());
    }

    @Test
    void theFusedKernelUpdatesWithTheDecision() throws Exception {
        DocsExample example = DocsExample.run("update.md", 2, folder);
        assertEquals(0, example.exit(), example::errors);
        assertEquals("clipped\n".repeat(3) + "the loss has fallen\n", example.output());
        assertEquals("", example.errors());
    }
}
