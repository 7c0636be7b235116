// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The Java example of docs/choosing-a-threshold.md compiles against this build, measures, clips and skips a spike. */
class ThresholdDocsExampleTest {
    @TempDir
    private Path folder = Path.of("");

    @Test
    void theExampleMeasuresThenClipsAndSkips() throws Exception {
        DocsExample ended = DocsExample.run("choosing-a-threshold.md", folder);
        assertEquals("", ended.errors());
        List<String> lines = ended.output().lines().toList();
        assertEquals(3, lines.size(), ended.output());
        // 199 norms of about 0.1 · √1000 and one of 300 · √1000.
        assertTrue(
                lines.get(0).matches("mean 5\\d\\.\\d\\d, median 3\\.1\\d, largest 9\\d\\d\\d\\.\\d\\d"), lines.get(0));
        assertTrue(lines.get(1).startsWith("step 170 skipped, norm 9"), lines.get(1));
        assertTrue(lines.get(2).matches("threshold 3\\.[01]\\d"), lines.get(2));
        assertEquals(0, ended.exit());
    }
}
