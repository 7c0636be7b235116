// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.djl;

import dev.gradclip.cli.demo.FrameworkDemo;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DjlDigitsTest {
    @Test
    void aShortDemo(@TempDir Path folder) throws IOException {
        FrameworkDemo.check("djl", folder);
    }
}
