// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the tensors that a clip leaves as they are: of a dtype without rules, and by {@code --exclude}. */
class ExclusionTest {
    @TempDir
    Path folder;

    private Path in;
    private Path out;

    @BeforeEach
    void files() {
        in = new Gradients()
                .floats("a", 3)
                .floats("frozen.a", Float.NaN, 7)
                .add("frozen.b", "F8_E5M2", new byte[] {1, 2}, 2)
                .add("step", "I64", new byte[8], 1)
                .floats("b", 4)
                .write(folder.resolve("in"));
        out = folder.resolve("out");
    }

    private Outcome clip(Object... options) {
        return Outcome.ofClip(in, out, options);
    }

    private Map<String, Object> json(Object... options) {
        List<Object> all = new ArrayList<>(Arrays.asList(options));
        all.addAll(List.of("--format", "json"));
        return clip(all.toArray()).expect(ExitCode.DONE).json();
    }

    /** The data of IN with the floats at some offsets replaced. */
    private byte[] dataWith(Object... offsetsAndValues) throws IOException {
        byte[] file = Files.readAllBytes(in);
        for (int i = 0; i < offsetsAndValues.length; i += 2) {
            byte[] bytes = Gradients.bytes((float) offsetsAndValues[i + 1]);
            System.arraycopy(bytes, 0, file, Gradients.dataStart(file) + (int) offsetsAndValues[i], 4);
        }
        return file;
    }

    @Test
    void excludedTensorsAreNeitherMeasuredNorChanged() throws IOException {
        Map<String, Object> report = json("--max-norm", "1", "--epsilon", "0", "--exclude", "frozen\\..*");
        assertEquals(5.0, report.get("total_norm"));
        assertEquals(false, report.get("non_finite"));
        assertEquals(2.0, report.get("tensors"));
        assertEquals(2.0, report.get("elements"));
        assertEquals(1.0, report.get("skipped"));
        assertEquals(2.0, report.get("excluded"));
        assertArrayEquals(dataWith(0, 3 * 0.2f, 22, 4 * 0.2f), Files.readAllBytes(out));
    }

    @Test
    void excludedTensorsAreInNoGroup() throws IOException {
        Map<String, Object> report =
                json("--exclude", "frozen.*", "--group", "b|frozen.*=value,max=1", "--unscale", "0.5");
        assertEquals(2.0, report.get("excluded"));
        assertEquals(1.0, report.get("ungrouped"));
        assertEquals(1.0, Json.maps(report, "groups").get(0).get("tensors"));
        assertArrayEquals(dataWith(0, 1.5f, 22, 1f), Files.readAllBytes(out));
        clip("--exclude", "b", "--exclude", "f.*", "--group", "b=value,max=1")
                .refused(ExitCode.USAGE, "--group 'b' matches", "--exclude and earlier groups leave");
    }

    @Test
    void everyTensorMayBeExcluded() throws IOException {
        assertEquals(5.0, json("--max-norm", "1", "--exclude", ".*").get("excluded"));
        assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(out));
    }

    @Test
    void thePeopleAreTold() {
        String text = clip("--max-norm", "1", "--exclude", "frozen.*")
                .expect(ExitCode.DONE)
                .out();
        assertTrue(text.contains("1 tensor copied, of a dtype that is not clipped"), text);
        assertTrue(text.contains("2 tensors excluded, left as they are"), text);
        assertTrue(Outcome.of("clip", "--help").out().contains("--exclude=REGEX"));
    }

    @Test
    void anExpressionThatMatchesNothing() {
        clip("--max-norm", "1", "--exclude", "frozen.*", "--exclude", "frosen")
                .refused(ExitCode.USAGE, "in: --exclude 'frosen' matches the whole name of no tensor");
        clip("--max-norm", "1", "--exclude", "(")
                .refused(ExitCode.USAGE, "--exclude", "'(' is not a regular expression");
        assertFalse(Files.exists(out));
    }

    @Test
    void inspectLeavesThemOutToo() {
        Map<String, Object> report = Outcome.of("inspect", in, "--exclude", "frozen.*", "--format", "json")
                .expect(ExitCode.DONE)
                .json();
        assertEquals(3, Json.maps(report, "tensors").size());
        Map<String, Object> total = Json.map(report, "total");
        assertEquals(5.0, total.get("l2"));
        assertEquals(2.0, total.get("excluded"));
        String text = Outcome.of("inspect", in, "--exclude", "frozen.*").out();
        assertTrue(text.endsWith("2 tensors excluded\n") && !text.contains("frozen"), text);
    }

    @Test
    void anEmptyTensorOfAnyDtypeIsCopied() throws IOException {
        in = Cases.copy("empty-fp8", folder);
        byte[] before = Files.readAllBytes(in);
        Map<String, Object> report = json("--max-norm", "1", "--epsilon", "0");
        assertEquals(5.0, report.get("total_norm"));
        assertEquals(1.0, report.get("skipped"));
        byte[] file = Files.readAllBytes(out);
        assertArrayEquals(
                new float[] {3 * 0.2f, 4 * 0.2f}, Gradients.floatsOf(file, Gradients.dataStart(file), 2), 1e-7f);
        assertEquals(before.length, file.length);
    }

    @Test
    void whatIsInNoGroupIsCopiedWhateverItsDtype() throws IOException {
        in = Cases.copy("lora-beside-fp8", folder);
        byte[] expected = Files.readAllBytes(in);
        Map<String, Object> report = json("--group", "lora.*=global-norm,max-norm=1");
        assertEquals(13.0, report.get("total_norm"));
        assertEquals(2.0, report.get("tensors"));
        assertEquals(2.0, report.get("skipped"));
        assertEquals(0.0, report.get("ungrouped"));
        int data = Gradients.dataStart(expected);
        byte[] written = Files.readAllBytes(out);
        assertArrayEquals(Arrays.copyOf(expected, data + 5), Arrays.copyOf(written, data + 5));
        assertEquals(expected.length, written.length);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--max-norm 1",
                "--clip-value 1",
                "--group .*=global-norm,max-norm=1",
                "--group lora.*=global-norm,max-norm=1 --unscale 0.5",
                "--group lora.*=global-norm,max-norm=1,inverse-scale=2",
                "--group lora.*=global-norm,max-norm=1 --non-finite zero"
            })
    void whatWouldBeChangedIsRefused(String options) throws IOException {
        in = Cases.copy("lora-beside-fp8", folder);
        clip((Object[]) options.split(" ", -1))
                .refused(ExitCode.USAGE, "tensor 'base.weight': dtype F8_E4M3", "--exclude");
        assertFalse(Files.exists(out));
        clip((Object[]) (options + " --exclude base.*").split(" ", -1)).expect(ExitCode.DONE);
    }

    @Test
    void emptyWeightsHaveAnyDtype() {
        in = new Gradients()
                .add("none", "F32", new byte[0], 0)
                .floats("a", 3, 4)
                .write(folder.resolve("gradients"));
        Path weights = new Gradients()
                .add("none", "F8_E4M3", new byte[0], 0)
                .floats("a", 1, 0)
                .write(folder.resolve("weights"));
        json("--rule", "adaptive", "--param", "lambda=0.5", "--parameters", weights);
    }
}
