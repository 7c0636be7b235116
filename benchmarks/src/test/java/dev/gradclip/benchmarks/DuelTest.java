// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/** Checked, then timed, beside {@link TestPeer}. */
class DuelTest {
    private int exit;
    private String said = "";

    private List<DuelSample> duel(String... args) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        PrintStream before = System.err;
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        try {
            exit = new CommandLine(new Duel(new PrintStream(out, true, StandardCharsets.UTF_8))).execute(args);
        } finally {
            System.setErr(before);
        }
        said = err.toString(StandardCharsets.UTF_8);
        List<DuelSample> samples = new ArrayList<>();
        for (String line : out.toString(StandardCharsets.UTF_8).lines().toList()) samples.add(DuelSample.ofLine(line));
        return samples;
    }

    @AfterEach
    void mend() {
        TestPeer.forgets = false;
    }

    private static List<String> names(List<DuelSample> samples) {
        return samples.stream().map(DuelSample::contender).toList();
    }

    @Test
    void everyoneInEveryCase() throws IOException {
        List<DuelSample> samples =
                duel("--workload=3x1000", "--own=java,loop", "--seconds=0.01", "--cases=norm,bites,does not,clamp");
        assertEquals(0, exit, said);
        assertEquals(4 * 3, samples.size());
        assertEquals(List.of("gradclip JAVA", "a loop in Java", "peer"), names(samples.subList(0, 3)));
        for (DuelSample sample : samples) {
            assertEquals("3x1000", sample.workload());
            assertEquals("float32", sample.dtype());
            assertTrue(sample.micros() > 0 && sample.calls() >= 5, sample::toString);
        }
    }

    @Test
    void whatIsWrongIsNotTimed() throws IOException {
        TestPeer.forgets = true;
        List<DuelSample> samples = duel("--workload=3x1000", "--own=java", "--seconds=0.01", "--cases=norm,bites");
        assertEquals(1, exit);
        assertEquals(List.of("gradclip JAVA", "peer", "gradclip JAVA"), names(samples));
        assertTrue(said.contains("peer, bites: not timed, for element 999 of tensor 2"), said);
    }

    @Test
    void eachTensorByItsOwnNorm() throws IOException {
        List<DuelSample> samples = duel("--workload=3x1000", "--own=java,loop", "--seconds=0.01", "--cases=per tensor");
        assertEquals(0, exit, said);
        assertEquals(List.of("gradclip JAVA", "a loop in Java"), names(samples));
        assertTrue(said.contains("not timed: peer does not clip each tensor by its own norm"), said);
    }

    @Test
    void againOnWhatWasLeftEachCallBites() throws IOException {
        TestPeer.clips = 0;
        TestPeer.bites = 0;
        List<DuelSample> samples =
                duel("--workload=3x1000", "--own=java", "--seconds=0.01", "--cases=bites", "--again=20");
        assertEquals(0, exit, said);
        for (DuelSample sample : samples) {
            assertEquals("bites again", sample.what());
            assertTrue(sample.calls() >= 5 * 20 && sample.calls() % 20 == 0, sample::toString);
        }
        assertTrue(TestPeer.clips > 100);
        assertEquals(TestPeer.clips, TestPeer.bites);
    }

    @Test
    void otherTypes() throws IOException {
        for (String dtype : new String[] {"bf16", "f16"}) {
            List<DuelSample> samples = duel(
                    "--workload=2x1000",
                    "--dtype=" + dtype,
                    "--own=java,heap,loop",
                    "--seconds=0.01",
                    "--cases=norm,bites,does not,clamp,per tensor");
            assertEquals(0, exit, said);
            int own = Backend.NATIVE.isAvailable() ? 2 : 1;
            assertEquals(5 * own, samples.size(), said);
            assertEquals(
                    dtype.equals("bf16") ? "bfloat16" : "float16",
                    samples.get(0).dtype());
            assertTrue(said.contains("not timed: peer has FLOAT32 gradients only"), said);
            assertTrue(said.contains("not timed: a loop in Java has FLOAT32 gradients only"), said);
        }
    }

    @Test
    void aNamedWorkloadIsScaledDownAndSaysSo() throws IOException {
        for (String name : new String[] {"llama8b", "nemo-mixed", "nemo-embedding", "nemo-matrices"}) {
            List<DuelSample> samples =
                    duel("--workload=" + name, "--bytes=200000", "--own=java", "--seconds=0.01", "--cases=bites");
            assertEquals(0, exit, said);
            assertEquals("gradclip JAVA", samples.get(0).contender());
            assertTrue(samples.get(0).workload().matches(name + ", [0-9]+ of [0-9]+ elements"), samples::toString);
        }
    }

    @Test
    void refusals() throws IOException {
        duel("--workload=gpt9");
        assertEquals(2, exit);
        assertTrue(said.contains("'gpt9'") && said.contains("llama8b"), said);
        duel("--dtype=f8");
        assertEquals(2, exit);
        assertTrue(said.contains("'f8'") && said.contains("bf16"), said);
        duel("--cases=shear", "--workload=1x1");
        assertEquals(2, exit);
        assertTrue(said.contains("'shear'") && said.contains("per tensor"), said);
        duel("--again=0", "--workload=1x1");
        assertEquals(2, exit);
        assertTrue(said.contains("--again"), said);
        duel("--own=rust", "--workload=1x1");
        assertEquals(2, exit);
        assertTrue(said.contains("'rust'"), said);
    }
}
