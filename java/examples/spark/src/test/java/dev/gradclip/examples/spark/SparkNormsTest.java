// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(180)
class SparkNormsTest {
    /** The program fails where a norm over partitions is not that of one process. */
    @Test
    void theNormIsThatOfOneProcess() throws Exception {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home", ""), "bin", "java")
                                .toString(),
                        "-cp",
                        System.getProperty("java.class.path", ""),
                        SparkNorms.class.getName(),
                        "--partitions=2,3",
                        "--elements=20001",
                        "--runs=2")
                .redirectErrorStream(true)
                .start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), text);
        List<String> ours =
                text.lines().filter(line -> line.contains("gradclip")).toList();
        assertEquals(3, ours.size(), text);
        String norm = ours.get(2).split("\\|", -1)[4];
        for (String line : ours) assertTrue(line.contains("| 1 |" + norm + "|"), text);
    }
}
