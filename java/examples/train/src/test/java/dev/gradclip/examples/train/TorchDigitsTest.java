// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.cli.demo.FrameworkDemo;
import java.io.IOException;
import java.nio.file.Path;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TorchDigitsTest {
    @BeforeAll
    static void natives() {
        try {
            torch.set_num_threads(1);
        } catch (LinkageError e) {
            assumeTrue(false, e::toString);
        }
    }

    @Test
    void aShortDemo(@TempDir Path folder) throws IOException {
        FrameworkDemo.check("torch", folder);
    }
}
