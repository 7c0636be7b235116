// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.measure.Shape;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GpuCasesTest {
    @TempDir
    Path folder;

    private static Shape named(List<Shape> shapes, String name) {
        return shapes.stream()
                .filter(shape -> shape.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no case " + name));
    }

    @Test
    void largeOnesAtTheirRealSize() {
        List<Shape> shapes = GpuCases.all(1 << 30);
        assertEquals(8_030_261_248L, named(shapes, "llama8b").elements());
        assertEquals(25_557_032, named(shapes, "resnet50").elements());
        assertEquals(225_181_696, named(shapes, "nemo-mixed").elements());
        assertEquals(3_072_133_632L, named(shapes, "nemo-embedding").bytes());
        assertEquals(20_520_000_000L, named(shapes, "nemo-matrices").bytes());
        assertEquals(1 << 30, named(shapes, "1 x f32").bytes());
        assertEquals(1 << 30, named(shapes, "1 x bf16").bytes());
        assertEquals(1024, named(shapes, "500 mixed").bytes() >> 20);
    }

    @Test
    void aTrialIsSmall() {
        for (Shape shape : GpuCases.all(10_000_000)) assertTrue(shape.bytes() < 11_000_000, shape::name);
    }

    /** The script prints a line with name, tensors and bytes of each case. */
    @Test
    void theScriptReadsTheSameCases() throws IOException, InterruptedException {
        Path script = Path.of("gpu", "peers.py");
        List<String> lines = python(script, 1 << 30);
        List<String> expected = new ArrayList<>();
        for (Shape shape : GpuCases.all(1 << 30)) {
            expected.add(shape.name() + " " + shape.tensors().size() + " " + shape.elements() + " " + shape.bytes());
        }
        assertEquals(expected, lines);
    }

    private List<String> python(Path script, long bytes) throws IOException, InterruptedException {
        Path list = folder.resolve("cases.json");
        try (OutputStream out = Files.newOutputStream(list)) {
            GpuCases.write(GpuCases.all(bytes), out);
        }
        String program = """
                import importlib.util, sys
                sys.dont_write_bytecode = True
                spec = importlib.util.spec_from_file_location('peers', sys.argv[1])
                peers = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(peers)
                for name, shapes in peers.cases(sys.argv[2]):
                    sizes = [n * peers.TYPES[d] for d, n in shapes]
                    print(name, len(shapes), sum(n for _, n in shapes), sum(sizes))
                """;
        Process process;
        try {
            process = new ProcessBuilder("python3", "-c", program, script.toString(), list.toString())
                    .redirectErrorStream(true)
                    .start();
        } catch (IOException e) {
            assumeTrue(false, "python3 is not there: " + e.getMessage());
            return List.of();
        }
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), said);
        return said.lines().toList();
    }
}
