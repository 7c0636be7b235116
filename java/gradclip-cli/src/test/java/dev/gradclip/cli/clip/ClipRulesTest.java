// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipRule;
import dev.gradclip.Convention;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import dev.gradclip.NormType;
import dev.gradclip.Scope;
import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.rules.ChosenRule;
import dev.gradclip.cli.safetensors.SafetensorsFile;
import dev.gradclip.cli.safetensors.TensorEntry;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code --rule}, {@code --parameters}, {@code --non-finite} and {@code --unscale}. */
class ClipRulesTest {
    @TempDir
    Path folder;

    private Path in;
    private Path out;

    @BeforeEach
    void files() {
        in = folder.resolve("in.safetensors");
        out = folder.resolve("out.safetensors");
    }

    private Outcome clip(String options) {
        return options.isEmpty() ? Outcome.ofClip(in, out) : Outcome.ofClip(in, out, (Object[]) options.split(" ", -1));
    }

    private Map<String, Object> json(String options) {
        return clip(options + " --format json").expect(ExitCode.DONE).json();
    }

    private float[] written(int count) throws IOException {
        byte[] file = Files.readAllBytes(out);
        return Gradients.floatsOf(file, Gradients.dataStart(file), count);
    }

    private void rows() {
        new Gradients()
                .add("w", "F32", Gradients.bytes(3f, 4f, 12f, 0f), 2, 2)
                .floats("b", 0, 2)
                .write(in);
    }

    private Path weights(float... values) {
        return new Gradients()
                .add("w", "F32", Gradients.bytes(values), 2, 2)
                .write(folder.resolve("weights.safetensors"));
    }

    // ---- the bits of a clipper -------------------------------------------------------------------------------------

    static Stream<Arguments> rulesAndBackends() {
        Map<String, ClipRule> rules = Map.ofEntries(
                Map.entry("global-norm max-norm=0.1", ClipRule.globalNorm(0.1)),
                Map.entry(
                        "global-norm max-norm=0.1 norm-type=1 convention=tensorflow",
                        ClipRule.globalNorm(0.1).withNormType(NormType.L1).withConvention(Convention.TENSORFLOW)),
                Map.entry(
                        "per-tensor-norm max-norm=0.05 convention=keras epsilon=0.5",
                        ClipRule.perTensorNorm(0.05)
                                .withConvention(Convention.KERAS)
                                .withEpsilon(0.5)),
                Map.entry("per-row-norm max-norm=0.01", ClipRule.perRowNorm(0.01)),
                Map.entry(
                        "per-row-norm max-norm=0.005 norm-type=inf inverse-scale=0.5",
                        ClipRule.perRowNorm(0.005).withNormType(NormType.INF).withInverseScale(0.5)),
                Map.entry("normalize length=1", ClipRule.normalize(1)),
                Map.entry(
                        "normalize length=0.01 scope=row",
                        ClipRule.normalize(0.01).withScope(Scope.ROW)),
                Map.entry(
                        "normalize-above max-norm=0.05 length=0.5 scope=tensor",
                        ClipRule.normalizeAbove(0.05, 0.5).withScope(Scope.TENSOR)),
                Map.entry("average-norm max-norm=1e-5", ClipRule.averageNorm(1e-5)),
                Map.entry(
                        "average-norm max-norm=1e-6 scope=all convention=pytorch",
                        ClipRule.averageNorm(1e-6).withScope(Scope.ALL)),
                Map.entry("block-rms max-rms=0.001", ClipRule.blockRms(0.001)),
                Map.entry(
                        "block-rms max-rms=0.001 scope=row epsilon=0.001",
                        ClipRule.blockRms(0.001).withScope(Scope.ROW).withEpsilon(0.001)),
                Map.entry("adaptive lambda=0.3", ClipRule.adaptive(0.3)),
                Map.entry(
                        "adaptive lambda=0.2 epsilon=0.1 norm-type=1",
                        ClipRule.adaptive(0.2, 0.1).withNormType(NormType.L1)),
                Map.entry("value max=0.001", ClipRule.value(0.001)),
                Map.entry(
                        "value min=-inf max=0.001 inverse-scale=3",
                        ClipRule.value(Double.NEGATIVE_INFINITY, 0.001).withInverseScale(3)));
        return rules.entrySet().stream()
                .flatMap(r -> Stream.of("java", "native").map(b -> Arguments.of(r.getKey(), r.getValue(), b)));
    }

    /** All tensors of a real file, bound as their shapes say. */
    @ParameterizedTest
    @MethodSource("rulesAndBackends")
    void aFileGetsTheBitsOfAClipper(String told, ClipRule rule, String backend) throws IOException {
        assumeTrue(!backend.equals("native") || Backend.NATIVE.isAvailable(), Backend.NATIVE::reason);
        Files.write(in, RealGradientsTest.resource("gpt-mixed.safetensors"));
        Path weights = weightsOf(Files.readAllBytes(in));
        boolean adaptive = told.startsWith("adaptive");
        String parameters = adaptive ? " --parameters " + weights : "";
        Map<String, Object> report = json(options(told) + parameters + " --backend " + backend);
        assertEquals(told.split(" ", 2)[0], report.get("rule"));
        assertEquals(true, report.get("clipped"));
        byte[] file = Files.readAllBytes(in);
        double norm = clip(file, adaptive ? Files.readAllBytes(weights) : null, rule);
        assertArrayEquals(file, Files.readAllBytes(out));
        if (!Double.isNaN(norm)) assertEquals(norm, Json.number(report, "total_norm"));
    }

    /** Small weights for all tensors but one. */
    private Path weightsOf(byte[] gradients) throws IOException {
        Random random = new Random(1);
        Gradients weights = new Gradients();
        for (TensorEntry tensor : tensors(gradients)) {
            float[] values = new float[(int) tensor.elements()];
            for (int i = 0; i < values.length; i++) values[i] = 0.02f * (float) random.nextGaussian();
            if (tensor.name().equals("head.weight")) continue;
            long[] shape = tensor.shape().stream().mapToLong(Long::longValue).toArray();
            weights.add(tensor.name(), "F32", Gradients.bytes(values), shape);
        }
        return weights.write(folder.resolve("weights"));
    }

    private static String options(String told) {
        return "--rule " + told.replace(" ", " --param ");
    }

    /** Clips the bytes of a file in memory; returns the norm. */
    private double clip(byte[] bytes, byte @Nullable [] weights, ClipRule rule) throws IOException {
        GradientClipperBuilder builder = GradientClipper.builder();
        for (TensorEntry tensor : tensors(bytes)) {
            builder.add(tensor.name(), buffer(bytes, tensor));
            if (ChosenRule.goesByRows(rule) && tensor.shape().size() > 1) {
                builder.rows(tensor.shape().get(0).intValue());
            }
            if (weights == null) continue;
            for (TensorEntry w : tensors(weights)) {
                if (w.name().equals(tensor.name())) builder.weights(buffer(weights, w));
            }
        }
        try (GradientClipper clipper = builder.build()) {
            return clipper.clip(rule).globalNorm();
        }
    }

    private List<TensorEntry> tensors(byte[] bytes) throws IOException {
        try (SafetensorsFile file = SafetensorsFile.open(Gradients.write(folder.resolve("bytes"), bytes))) {
            return file.header().tensors();
        }
    }

    private static HostBuffer buffer(byte[] bytes, TensorEntry tensor) {
        int begin = Gradients.dataStart(bytes) + (int) tensor.begin();
        ByteBuffer range = ByteBuffer.wrap(bytes, begin, (int) tensor.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        return HostBuffer.wrap(range, Objects.requireNonNull(tensor.type().dtype()));
    }

    // ---- rows ------------------------------------------------------------------------------------------------------

    @Test
    void rowsAreTheLeadingDimension() throws IOException {
        rows();
        Map<String, Object> report = json("--rule per-row-norm --param max-norm=12 --param epsilon=0");
        assertEquals("per-row-norm", report.get("rule"));
        assertEquals("null", report.get("coefficient"));
        assertEquals(3.0, report.get("rows"));
        assertEquals(0.0, report.get("rows_clipped"));
        report = json("--rule per-row-norm --param max-norm=6 --param epsilon=0");
        assertEquals(1.0, report.get("rows_clipped"));
        assertEquals(
                List.of(
                        Map.of("name", "w", "norm", 13.0, "rows", 2.0, "rows_clipped", 1.0),
                        Map.of("name", "b", "norm", 2.0, "rows", 1.0, "rows_clipped", 0.0)),
                report.get("per_tensor"));
        assertArrayEquals(new float[] {3, 4, 6, 0, 0, 2}, written(6));
        String text = clip("--rule per-row-norm --param max-norm=1").expect(0).out();
        assertTrue(text.contains("3 of 3 rows, clipped"), text);
        assertTrue(text.contains("per-row-norm max-norm=1: "), text);
    }

    @Test
    void scalarsVectorsAndEmptyTensorsAreOneRow() {
        new Gradients()
                .add("scalar", "F32", Gradients.bytes(4f))
                .floats("vector", 3, 4)
                .add("none", "F32", new byte[0], 5, 0)
                .write(in);
        Map<String, Object> report = json("--rule per-row-norm --param max-norm=1");
        assertEquals(3.0, report.get("rows"));
        assertEquals(2.0, report.get("rows_clipped"));
    }

    /** Rows that end within the 8 MiB in which a file is read, and longer ones, of a length that is no whole tiles. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 1000})
    void rowsAcrossPieces(int rows) throws IOException {
        int length = (20 << 20) / 4 / rows - 1;
        float[] values = new float[rows * length];
        for (int i = 0; i < values.length; i++) values[i] = i / length + 1;
        new Gradients()
                .floats("pad", 1)
                .add("w", "F32", Gradients.bytes(values), rows, length)
                .write(in);
        Map<String, Object> report =
                json("--rule per-row-norm --param max-norm=1 --param norm-type=inf --param epsilon=0");
        assertEquals(rows + 1.0, report.get("rows"));
        assertEquals(rows - 1.0, report.get("rows_clipped"));
        float[] clipped = written(values.length + 1);
        for (int i = 0; i < values.length; i++) {
            float row = i / length + 1;
            assertEquals(row * (float) (1.0 / row), clipped[i + 1]);
        }
    }

    // ---- adaptive --------------------------------------------------------------------------------------------------

    @Test
    void aTensorWithoutWeightsIsLeftAndCounted() throws IOException {
        rows();
        Path weights = weights(1, 0, 0, 24);
        Map<String, Object> report = json("--rule adaptive --param lambda=0.5 --parameters " + weights);
        assertEquals(1.0, report.get("without_parameter"));
        assertEquals(1.0, report.get("rows_clipped"));
        assertArrayEquals(new float[] {3 * 0.1f, 4 * 0.1f, 12, 0, 0, 2}, written(6));
        String text = clip("--rule adaptive --param lambda=0.5 --parameters " + weights)
                .expect(0)
                .out();
        assertTrue(text.contains("1 tensor without weights in " + weights + ", left unclipped"), text);
    }

    @Test
    void emptyTensorsHaveWeightsToo() throws IOException {
        Path weights = new Gradients().add("none", "F64", new byte[0], 0, 3).write(folder.resolve("weights"));
        String options = "--rule adaptive --param lambda=0.5 --parameters " + weights;
        for (Gradients gradients : List.of(
                new Gradients(),
                new Gradients().add("none", "F32", new byte[0], 0, 3),
                new Gradients().add("none", "F32", new byte[0], 0, 3).floats("other", 1))) {
            gradients.write(in);
            assertEquals(false, json(options).get("clipped"));
            assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(out));
        }
    }

    @Test
    void weightsThatDoNotFitAreRefusedByName() throws IOException {
        rows();
        Path weights = folder.resolve("weights.safetensors");
        String options = "--rule adaptive --param lambda=0.5 --parameters " + weights;
        clip(options).refused(ExitCode.USAGE, "weights.safetensors", "there is no such file");
        new Gradients().floats("w", 1, 2, 3, 4).write(weights);
        clip(options).refused(ExitCode.USAGE, "tensor 'w' has the shape [4], but its gradient has [2, 2]");
        new Gradients().add("w", "I32", new byte[16], 2, 2).write(weights);
        clip(options).refused(ExitCode.USAGE, "tensor 'w': dtype I32");
        new Gradients().add("w", "F8_E4M3", new byte[4], 2, 2).write(weights);
        clip(options).refused(ExitCode.USAGE, "tensor 'w': dtype F8_E4M3");
        new Gradients().floats("other", 1).write(weights);
        clip(options).refused(ExitCode.USAGE, "weights.safetensors: holds none of the tensors", "'w'");
        Files.write(weights, Arrays.copyOf(new Gradients().floats("w", 1).build(), 60));
        clip(options).refused(ExitCode.USAGE, "weights.safetensors");
        assertFalse(Files.exists(out));
    }

    // ---- NaN and infinity -----------------------------------------------------------------------------------------

    @Test
    void nonFinitePolicies() throws IOException {
        new Gradients().floats("a", 3, Float.NaN, 4).write(in);
        String rule = "--rule global-norm --param max-norm=1 --param epsilon=0 --non-finite ";
        assertEquals("nan", json(rule + "propagate").get("total_norm"));
        assertTrue(Float.isNaN(written(3)[0]));
        Map<String, Object> report = json(rule + "skip");
        assertEquals(true, report.get("non_finite"));
        assertEquals(false, report.get("clipped"));
        assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(out));
        report = json(rule + "ZERO");
        assertEquals(5.0, report.get("total_norm"));
        assertEquals(true, report.get("non_finite"));
        assertArrayEquals(new float[] {3 * 0.2f, 0, 4 * 0.2f}, written(3));
        byte[] before = Files.readAllBytes(out);
        for (String error : List.of("error", "error --error-if-nonfinite")) {
            clip(rule + error).refused(ExitCode.NON_FINITE, "tensor 'a' holds a NaN");
            clip("--clip-value 1 --non-finite " + error).refused(ExitCode.NON_FINITE, "tensor 'a' holds a NaN");
        }
        assertArrayEquals(before, Files.readAllBytes(out), "an older OUT stays");
        assertEquals(1.0 + 2, json("--clip-value 1 --non-finite zero").get("elements_changed"));
        assertArrayEquals(new float[] {1, 0, 1}, written(3));
    }

    // ---- unscaling -------------------------------------------------------------------------------------------------

    @Test
    void unscaled() throws IOException {
        new Gradients().floats("a", 6, 8).write(in);
        Map<String, Object> report = json("--max-norm 1 --epsilon 0 --unscale 0.5");
        assertEquals(5.0, report.get("total_norm"));
        assertEquals(0.1, report.get("coefficient"));
        assertEquals(0.5, report.get("inverse_scale"));
        assertArrayEquals(new float[] {6 * 0.1f, 8 * 0.1f}, written(2));
        report = json("--rule value --param max=3.5 --unscale 0.5");
        assertEquals(1.0, report.get("elements_changed"));
        assertEquals(0.5, Json.number(Json.map(report, "parameters"), "inverse-scale"));
        assertArrayEquals(new float[] {3, 3.5f}, written(2));
        report = json("--rule value --param max=9 --param inverse-scale=0.5");
        assertEquals(false, report.get("clipped"), "unscaling is no clip");
        assertArrayEquals(new float[] {3, 4}, written(2));
        assertTrue(clip("--max-norm 1 --unscale 0.5").out().contains("global-norm inverse-scale=0.5: "));
    }

    // ---- wrong usage -----------------------------------------------------------------------------------------------

    @Test
    void parametersOfTheReportAreThoseInForce() {
        rows();
        Map<String, Object> parameters =
                Json.map(json("--rule global-norm --param max-norm=1 --param convention=optax"), "parameters");
        assertEquals(
                Map.of("max-norm", 1.0, "norm-type", "2", "convention", "optax", "epsilon", 0.0, "inverse-scale", 1.0),
                parameters);
        String text = clip("--rule global-norm --param max-norm=1e-7 --param convention=optax")
                .out();
        assertTrue(text.startsWith("global-norm max-norm=1e-7 convention=optax epsilon=0: "), text);
        assertEquals(
                -2.0,
                Json.number(Json.map(json("--rule value --param max=2"), "parameters"), "min"),
                "the lower limit unless given");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--rule clop | there is no rule 'clop'; the rules are global-norm, per-tensor-norm",
                "--rule normalize | needs length",
                "--rule normalize --param length | 'length' is not NAME=VALUE",
                "--rule normalize --param lenth=1 | no parameter 'lenth'; it takes length, scope",
                "--rule normalize --param length=x | length: 'x' is not a number",
                "--rule normalize --param length=inf | rule normalize: length must be 0 or more and finite, but is inf",
                "--rule normalize --param length=1 --param length=1 | length is given twice",
                "--rule normalize --param length=1 --param scope=group | not one of all, tensor, row",
                "--rule normalize --param length=1 --param scope=sample | samples are clipped in Java",
                "--rule normalize --param length=1 --param norm-type=0 | norm-type: '0'",
                "--rule global-norm --param max-norm=-1 | max-norm must be 0 or more, but is -1",
                "--rule global-norm --param max-norm=nan | max-norm must be 0 or more, but is nan",
                "--rule global-norm --param max-norm=1 --param convention=jax | convention: 'jax' is not one of "
                        + "pytorch",
                "--rule global-norm --param max-norm=1 --param scope=row | no parameter 'scope'",
                "--rule value --param min=1 | needs max",
                "--rule global-norm --param max-norm=1 --param epsilon=x | epsilon: 'x' is not a number",
                "--rule global-norm --param max-norm=1 --param epsilon=-1e-6 | epsilon must be 0 or more and finite, "
                        + "but is -1e-6",
                "--rule block-rms --param max-rms=-1 | rule block-rms: max-rms must be 0 or more, but is -1",
                "--rule adaptive --param lambda=-1 | lambda must be 0 or more, but is -1",
                "--rule value --param min=1 --param max=0 | min must not be above max, but they are 1 and 0",
                "--rule value --param max=-2 | max must be 0 or more where min is not given, but is -2",
                "--rule value --param max=nan | max must be a number, but is nan",
                "--rule value --param max=1 --param inverse-scale=0 | inverse-scale must be above 0 and finite, but is "
                        + "0",
                "--group .*=global-norm,max-norm=-1 | max-norm must be 0 or more, but is -1",
                "--max-norm -1 | --max-norm must be 0 or more, but is -1",
                "--max-norm 1 --epsilon inf | --epsilon must be 0 or more and finite, but is inf",
                "--clip-value nan | --clip-value must be 0 or more, but is nan",
                "--min 2 --max 1 | neither may be nan, but they are 2 and 1",
                "--max-norm 1 --unscale 0 | --unscale must be above 0 and finite, but is 0",
                "--rule value --param max=1 --max-norm 1 | exclude each other",
                "--rule value --param max=1 --per-tensor | --per-tensor needs --max-norm",
                "--rule value --param max=1 --norm-type 1 | --norm-type needs --max-norm",
                "--rule value --param max=1 --unscale -1 | --unscale must be above 0 and finite, but is -1",
                "--rule value --param max=1 --unscale 2 --param inverse-scale=2 | exclude each other",
                "--rule adaptive --param lambda=1 | --parameters FILE",
                "--rule value --param max=1 --parameters x | --parameters is for the rule adaptive",
                "--max-norm 1 --parameters x | --parameters is for the rule adaptive",
                "--max-norm 1 --param epsilon=1 | --param needs --rule",
                "--max-norm 1 --non-finite skip --error-if-nonfinite | --error-if-nonfinite is --non-finite error",
                "--max-norm 1 --non-finite ignore | '--non-finite': 'ignore' is not one of propagate, error, skip, "
                        + "zero",
                "--max-norm 1 --backend gpu | '--backend': 'gpu' is not one of auto, java, native, cuda",
                "--max-norm 1 --format yaml | '--format': 'yaml' is not one of text, json"
            })
    void wrongUsage(String optionsAndFault) {
        rows();
        String[] parts = optionsAndFault.split(" \\| ", 2);
        clip(parts[0]).refused(ExitCode.USAGE, "gradclip: error: ", "--help", parts[1]);
        assertFalse(Files.exists(out));
    }
}
