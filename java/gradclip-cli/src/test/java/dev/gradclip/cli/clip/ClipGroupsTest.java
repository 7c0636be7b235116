// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.safetensors.Cases;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code --group}: a rule for the tensors whose name matches. */
class ClipGroupsTest {
    @TempDir
    Path folder;

    private Path in;
    private Path out;

    /** Names of three layers, in an order that no group has. */
    @BeforeEach
    void files() {
        in = new Gradients()
                .floats("out.w", 30)
                .floats("hidden.w", 3)
                .add("step", "I64", new byte[8], 1)
                .floats("rest", 7)
                .floats("out.b", 40)
                .floats("hidden.b", 4)
                .write(folder.resolve("in"));
        out = folder.resolve("out");
    }

    private Outcome clip(Object... options) {
        return Outcome.ofClip(in, out, options);
    }

    /** The five floats, without the integer between them. */
    private float[] written() throws IOException {
        byte[] file = Files.readAllBytes(out);
        float[] all = Gradients.floatsOf(file, Gradients.dataStart(file), 7);
        return new float[] {all[0], all[1], all[4], all[5], all[6]};
    }

    @Test
    void aNormForEach() throws IOException {
        Map<String, Object> report = clip(
                        "--group",
                        "hidden\\..*=global-norm,max-norm=1,epsilon=0",
                        "--group",
                        "out\\..*=normalize-above,max-norm=10,length=5,scope=tensor",
                        "--format",
                        "json")
                .expect(ExitCode.DONE)
                .json();
        assertEquals("per-group", report.get("rule"));
        assertEquals(Math.sqrt(25 + 49 + 2500), report.get("total_norm"));
        assertEquals("null", report.get("coefficient"));
        assertEquals(1.0, report.get("ungrouped"));
        assertEquals(1.0, report.get("skipped"));
        List<Map<String, Object>> groups = Json.maps(report, "groups");
        assertEquals("hidden\\..*", groups.get(0).get("group"));
        assertEquals("global-norm", groups.get(0).get("rule"));
        assertEquals(1.0, Json.map(groups.get(0), "parameters").get("max-norm"));
        assertEquals(2.0, groups.get(0).get("tensors"));
        assertEquals(5.0, groups.get(0).get("norm"));
        assertEquals(0.2, groups.get(0).get("coefficient"));
        assertEquals(50.0, groups.get(1).get("norm"));
        assertEquals("null", groups.get(1).get("coefficient"), "each tensor has its own");
        assertArrayEquals(new float[] {5, 3 * 0.2f, 7, 5, 4 * 0.2f}, written());
    }

    @Test
    void clampsTheFirstThatMatchesCounts() throws IOException {
        String text = clip("--group", "out.*=value,max=35", "--group", ".*b=value,min=-1,max=2")
                .expect(ExitCode.DONE)
                .out();
        assertArrayEquals(new float[] {30, 3, 7, 35, 2}, written());
        assertTrue(text.contains("out.*") && text.contains("value max=35 min=-35"), text);
        assertTrue(text.contains("per-group: 2 elements changed ("), text);
        assertTrue(text.contains("2 tensors in no group, left unclipped"), text);
    }

    @Test
    void wholeNamesMatch() {
        clip("--group", "out=value,max=1").refused(ExitCode.USAGE, "--group 'out' matches the whole name of no tensor");
        clip("--group", "o.*=value,max=1", "--group", "out.*=value,max=2")
                .refused(ExitCode.USAGE, "--group 'out.*' matches", "that an earlier group leaves");
        assertFalse(Files.exists(out));
    }

    @Test
    void aDotStandsForALineEndToo() throws IOException {
        in = Cases.copy("name-with-line-end", folder);
        Map<String, Object> report = clip("--group", ".*=global-norm,max-norm=1,epsilon=0", "--format", "json")
                .expect(ExitCode.DONE)
                .json();
        assertEquals(Math.sqrt(900 + 1600 + 2500), report.get("total_norm"));
        assertEquals(3.0, report.get("tensors"));
        assertEquals(0.0, report.get("ungrouped"));
        report = clip("--group", "(?-s).*=global-norm,max-norm=1", "--format", "json")
                .expect(ExitCode.DONE)
                .json();
        assertEquals(2.0, report.get("ungrouped"), "who wants a dot to mean less may say so");
    }

    @Test
    void anExpressionTooDeepForAName() {
        String name = "ab".repeat(100_000);
        in = new Gradients().floats(name, 5).write(folder.resolve("long"));
        clip("--group", "(a|b)*=value,max=1")
                .refused(
                        ExitCode.USAGE, "regular expression '(a|b)*'", "the name 'abab", "200,000 characters", "[ab]*");
        clip("--group", "[ab]*=value,max=1").expect(ExitCode.DONE);
    }

    @Test
    void anExpressionMayHoldTheSign() throws IOException {
        in = new Gradients().floats("a=b", 5).floats("c", 5).write(folder.resolve("signs"));
        clip("--group", "a=[b,c]=value,max=1").expect(ExitCode.DONE);
        byte[] file = Files.readAllBytes(out);
        assertArrayEquals(new float[] {1, 5}, Gradients.floatsOf(file, Gradients.dataStart(file), 2));
    }

    @Test
    void rowsAndWeightsOfOneGroup() throws IOException {
        in = new Gradients()
                .add("conv", "F32", Gradients.bytes(3f, 4f, 0f, 0.1f), 2, 2)
                .add("last", "F32", Gradients.bytes(9f, 9f), 2, 1)
                .write(folder.resolve("rows"));
        Path weights = new Gradients()
                .add("conv", "F32", Gradients.bytes(1f, 0f, 0f, 1f), 2, 2)
                .write(folder.resolve("weights"));
        Map<String, Object> report = clip(
                        "--group",
                        "conv=adaptive,lambda=0.5",
                        "--group",
                        "last=global-norm,max-norm=inf",
                        "--parameters",
                        weights,
                        "--format",
                        "json")
                .expect(ExitCode.DONE)
                .json();
        assertEquals(0.0, report.get("without_parameter"), "the other group needs none");
        assertEquals(2.0, report.get("rows"));
        assertEquals(1.0, Json.maps(report, "groups").get(0).get("rows_clipped"));
        assertFalse(Json.maps(report, "groups").get(1).containsKey("rows"));
        byte[] file = Files.readAllBytes(out);
        float[] values = Gradients.floatsOf(file, Gradients.dataStart(file), 6);
        assertArrayEquals(new float[] {3 * 0.1f, 4 * 0.1f, 0, 0.1f, 9, 9}, values);
    }

    @Test
    void policiesAndUnscalingReachAllGroupsAndTheRest() throws IOException {
        in = new Gradients()
                .floats("a", 8, Float.NaN)
                .floats("rest", 6, Float.NaN)
                .write(folder.resolve("nan"));
        clip("--group", "a=value,max=1", "--non-finite", "error")
                .refused(ExitCode.NON_FINITE, "tensor 'rest' holds a NaN");
        assertFalse(Files.exists(out));
        Map<String, Object> report = clip(
                        "--group", "a=value,max=1", "--non-finite", "zero", "--unscale", "0.5", "--format", "json")
                .expect(ExitCode.DONE)
                .json();
        assertEquals(3.0, report.get("elements_changed"));
        byte[] file = Files.readAllBytes(out);
        assertArrayEquals(new float[] {1, 0, 3, 0}, Gradients.floatsOf(file, Gradients.dataStart(file), 4));
    }

    @Test
    void wrongGroups() {
        refused("is not REGEX=RULE", "nothing");
        refused("is not REGEX=RULE", "=value,max=1");
        refused("'(' is not a regular expression", "(=value,max=1");
        refused("there is no rule 'valu'; the rules are", "a=valu,max=1");
        refused("rule value: it needs max", "a=value");
        refused("rule value: it has no parameter 'limit'", "a=value,limit=1");
        refused("--group 'a' is given twice", "a=value,max=1", "a=value,max=2");
        refused("clip such groups in runs of their own", "a=value,max=1", "b=global-norm,max-norm=1");
        refused("clip such groups in runs of their own", "a=value,max=1,inverse-scale=2", "b=value,max=1");
        refused("give --parameters FILE", "a=adaptive,lambda=1");
        clip("--group", "a=value,max=1", "--max-norm", "1").refused(ExitCode.USAGE, "exclude each other");
        clip("--group", "a=value,max=1", "--rule", "value").refused(ExitCode.USAGE, "exclude each other");
        clip("--group", "a=value,max=1", "--param", "max=1").refused(ExitCode.USAGE, "--param needs --rule");
        assertFalse(Files.exists(out));
    }

    private void refused(String fault, String... groups) {
        List<Object> options = new ArrayList<>();
        for (String group : groups) options.addAll(List.of("--group", group));
        clip(options.toArray()).refused(ExitCode.USAGE, fault);
    }
}
