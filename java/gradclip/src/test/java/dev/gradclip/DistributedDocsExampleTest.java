// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The Java examples of docs/distributed.md compile against this build, and clip and step by one norm on two ranks. */
class DistributedDocsExampleTest {
    /** Each rank holds 2048 elements of a tensor, rank 0 threes and rank 1 fours, and a copy of four fours. */
    private static final String PROGRAM = """
            import dev.gradclip.*;
            import java.util.Arrays;
            import java.util.List;
            import java.util.concurrent.*;

            public class Example {
                final Exchange exchange;

                Example(Exchange exchange) {
                    this.exchange = exchange;
                }

                String oneCall() {
                    float[] mine = new float[2048], copy = {4, 4, 4, 4};
                    Arrays.fill(mine, 3 + exchange.rank());
                    long first = 2048 * exchange.rank(), total = 4096, headLength = 0;
            CLIP;
                    return "norm " + result.globalNorm() + ", norm.weight " + copy[0];
                }

                List<byte[]> gathered(byte[] mine) {
                    return List.of(exchange.allGather(mine));
                }

                String byBytes() {
                    float[] gradient = new float[2048];
                    Arrays.fill(gradient, 3 + exchange.rank());
                    GradientClipper clipper = GradientClipper.builder()
                            .add("w", HostBuffer.wrap(gradient))
                            .shard(2048 * exchange.rank(), 4096)
                            .build();
                    ClipRule rule = ClipRule.globalNorm(16);
            BYTES;
                    return "first " + gradient[0];
                }

                String step() {
                    float[] gradient = new float[2048], weights = new float[2048];
                    Arrays.fill(gradient, 3 + exchange.rank());
                    GradientClipper clipper = GradientClipper.builder()
                            .add("w", HostBuffer.wrap(gradient))
                            .weights(HostBuffer.wrap(weights))
                            .shard(2048 * exchange.rank(), 4096)
                            .build();
            STEP;
                    return weights[0] < 0 ? "stepped" : "stayed";
                }

                String run() {
                    return "rank " + exchange.rank() + ": " + oneCall() + "; " + byBytes() + "; " + step();
                }

                public static void main(String[] args) throws Exception {
                    List<Exchange> ranks = Exchange.inProcess(2);
                    FutureTask<String> other = new FutureTask<>(() -> new Example(ranks.get(1)).run());
                    new Thread(other).start();
                    System.out.println(new Example(ranks.get(0)).run());
                    System.out.println(other.get());
                }
            }
            """;

    @TempDir
    private Path folder = Path.of("");

    @Test
    void examplesClipAndStepByOneNorm() throws Exception {
        List<String> examples = DocsExample.examples("distributed.md");
        assertEquals(3, examples.size());
        DocsExample ended = DocsExample.runProgram(
                PROGRAM.replace("CLIP;", examples.get(0))
                        .replace("BYTES;", examples.get(1))
                        .replace("STEP;", examples.get(2)),
                folder);
        assertEquals("", ended.errors());
        // √(2048 · 9 + 2048 · 16 + 4 · 16) and √(2048 · 25)
        double norm = Math.sqrt(51_264);
        String shared = "norm " + norm + ", norm.weight " + 4 * (float) (1 / (norm + 1e-6)) + "; first ";
        float coefficient = (float) (16 / (Math.sqrt(51_200) + 1e-6));
        assertEquals(
                "rank 0: " + shared + 3 * coefficient + "; stepped\nrank 1: " + shared + 4 * coefficient
                        + "; stepped\n",
                ended.output());
        assertEquals(0, ended.exit());
    }
}
