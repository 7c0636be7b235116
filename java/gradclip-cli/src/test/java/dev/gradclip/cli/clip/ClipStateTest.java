// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.History;
import dev.gradclip.HostBuffer;
import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code --state}: a rule that remembers goes through files one after the other. */
class ClipStateTest {
    @TempDir
    Path folder;

    private Path in;
    private Path out;
    private Path state;

    @BeforeEach
    void files() {
        in = folder.resolve("in.safetensors");
        out = folder.resolve("out.safetensors");
        state = folder.resolve("clip.state");
    }

    private Outcome clip(String options) {
        return Outcome.ofClip(
                in, out, (Object[]) options.replace("STATE", state.toString()).split(" ", -1));
    }

    private void gradients(float first, float second) {
        new Gradients().floats("w", first, second).write(in);
    }

    private float[] written() throws IOException {
        byte[] file = Files.readAllBytes(out);
        return Gradients.floatsOf(file, Gradients.dataStart(file), 2);
    }

    @Test
    void filesHaveTheBitsOfOneClipper() throws IOException {
        ClipRule rule = ClipRule.autoClip().withHistory(new History.AutoClip(40, 3));
        try (GradientClipper clipper = GradientClipper.of(new float[2])) {
            for (int step = 1; step <= 6; step++) {
                float[] gradient = {3 * step % 7, 4 * step % 5};
                gradients(gradient[0], gradient[1]);
                clipper.rebind(List.of(HostBuffer.wrap(gradient)));
                clipper.clip(rule);
                clip("--rule auto-clip --param percentile=40 --param window=3 --state STATE")
                        .expect(ExitCode.DONE);
                assertArrayEquals(gradient, written(), "step " + step);
            }
        }
    }

    @Test
    void aStepThatIsSkippedIsACopy() throws IOException {
        gradients(30, 40);
        Outcome skipped = clip("--rule skip-above --param norm=10 --param max-norm=1 --state STATE");
        assertTrue(skipped.expect(ExitCode.DONE).out().contains("skipped, OUT is a copy of IN"), skipped.out());
        assertArrayEquals(new float[] {30, 40}, written());
        assertEquals(
                true,
                clip("--rule skip-above --param norm=10 --state STATE --format json")
                        .expect(ExitCode.DONE)
                        .json()
                        .get("step_skipped"));
    }

    @Test
    void whatDoesNotFitIsRefusedAndNothingIsWritten() throws IOException {
        gradients(3, 4);
        clip("--rule quantile --state STATE").expect(ExitCode.DONE);
        byte[] before = Files.readAllBytes(state);
        Files.delete(out);
        String other = "--rule quantile --param window=5 --state STATE";
        assertTrue(clip(other).expect(ExitCode.USAGE).err().contains("the history of w"));
        assertFalse(Files.exists(out));
        assertArrayEquals(before, Files.readAllBytes(state));
        new Gradients().floats("renamed", 3, 4).write(in);
        String missing =
                clip("--rule quantile --state STATE").expect(ExitCode.USAGE).err();
        assertTrue(missing.contains("no history of renamed"), missing);
        Files.write(state, new byte[3]);
        String malformed =
                clip("--rule quantile --state STATE").expect(ExitCode.USAGE).err();
        assertTrue(malformed.contains("clip.state"), malformed);
        assertEquals(3, Files.size(state));
    }

    @Test
    void itGoesWithRulesThatRemember() {
        gradients(3, 4);
        String needs = clip("--rule z-clip").expect(ExitCode.USAGE).err();
        assertTrue(needs.contains("give --state FILE"), needs);
        String none = clip("--max-norm 1 --state STATE").expect(ExitCode.USAGE).err();
        assertTrue(none.contains("--state is for a rule"), none);
        String fraction = clip("--rule z-clip --param warm-up=2.5 --state STATE")
                .expect(ExitCode.USAGE)
                .err();
        assertTrue(fraction.contains("whole number"), fraction);
        String range = clip("--rule auto-clip --param percentile=101 --state STATE")
                .expect(ExitCode.USAGE)
                .err();
        assertTrue(range.contains("percentile must be from 0.0 to 100.0"), range);
    }
}
