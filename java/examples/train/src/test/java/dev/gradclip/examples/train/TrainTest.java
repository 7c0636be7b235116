// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.Backend;
import dev.gradclip.Update;
import dev.gradclip.report.RunReader;
import dev.gradclip.report.RunStep;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.Supplier;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import picocli.CommandLine;

class TrainTest {
    @TempDir
    private Path folder = Path.of("");

    @BeforeAll
    static void natives() {
        try {
            // Beside other builds, OpenMP's threads wait for each other many times longer than they compute.
            torch.set_num_threads(1);
        } catch (LinkageError e) {
            System.out.println("train: no LibTorch natives for this platform, tests skipped: " + e);
            assumeTrue(false, e::toString);
        }
    }

    @Test
    void picturesShrinkThirtyTwofoldOnTheirWay() {
        ResNet50 model = new ResNet50();
        Tensor x = model.features(torch.randn(2, 3, 96, 64));
        assertArrayEquals(new long[] {2, 2048, 3, 2}, x.sizes().vec().get());
    }

    @Test
    void parametersAreThoseOfTorchvisionsResNet50() {
        ResNet50 model = new ResNet50();
        StringTensorDict parameters = model.named_parameters();
        assertEquals(161, parameters.size());
        long elements = 0;
        for (long i = 0; i < parameters.size(); i++)
            elements += model.parameters().get(i).numel();
        assertEquals(25_557_032, elements);
        assertSizes(parameters, "conv1.weight", 64, 3, 7, 7);
        assertSizes(parameters, "layer1.0.downsample.0.weight", 256, 64, 1, 1);
        assertSizes(parameters, "layer3.5.conv2.weight", 256, 256, 3, 3);
        assertSizes(parameters, "layer4.2.bn3.bias", 2048);
        assertSizes(parameters, "fc.weight", 1000, 2048);
    }

    private static void assertSizes(StringTensorDict parameters, String name, long... sizes) {
        assertArrayEquals(sizes, parameters.get(name).sizes().vec().get(), name);
    }

    @ParameterizedTest
    @EnumSource
    void allWaysLeaveTheSameGradients(GradientHabit habit) {
        double[] expected = fcBiasAfter(habit, LibTorchClipping::new);
        assertClose(expected, fcBiasAfter(habit, LoopClipping::new));
        for (Backend backend : new Backend[] {Backend.JAVA, Backend.NATIVE}) {
            if (!backend.isAvailable()) continue;
            assertClose(expected, fcBiasAfter(habit, training -> {
                Tensor bucket = training.bucket();
                return bucket != null
                        ? new BucketClipping(bucket, backend, 2)
                        : new GradclipClipping(training, backend, 2);
            }));
        }
    }

    private interface Maker {
        Clipping make(Training training);
    }

    /** The last parameter's gradient after two steps of backward, clip, step. */
    private static double[] fcBiasAfter(GradientHabit habit, Maker maker) {
        Training training = Training.seeded(2, 40, 3, habit);
        try (Clipping clipping = maker.make(training)) {
            for (int step = 0; step < 2; step++) {
                training.backward();
                clipping.collect();
                clipping.rebind();
                assertTrue(clipping.clip(0.5) > 0.5);
                training.step();
            }
        }
        double[] values = new double[1000];
        training.parameters()
                .get(160)
                .grad()
                .toType(torch.ScalarType.Double)
                .data_ptr_double()
                .get(values);
        return values;
    }

    private static void assertClose(double[] expected, double[] found) {
        double largest = 0;
        for (double x : expected) largest = Math.max(largest, Math.abs(x));
        assertArrayEquals(expected, found, 1e-3 * largest);
    }

    @Test
    void printsARowForEachCaseAndWay() throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Path json = folder.resolve("figures.json");
        int exit = Train.commandLine(new PrintStream(bytes, true, StandardCharsets.UTF_8))
                .execute("--steps", "2", "--warmup", "1", "--image", "40", "--threads", "1", "--json", json.toString());
        String text = bytes.toString(StandardCharsets.UTF_8);
        assertEquals(0, exit, text);
        assertTrue(text.contains("161 parameters, 25,472,488 elements trained; gradients fresh"), text);
        assertTrue(text.contains("| bites | LibTorch clip_grad_norm_ |"), text);
        assertTrue(text.contains("| does not bite | gradclip JAVA |"), text);
        assertTrue(Files.readString(json).contains("\"by\": \"a loop in Java, 1 thread\""));
    }

    /** The norms in the file are those that LibTorch finds in the same training. */
    @Test
    void aTrainingIsRecorded() throws Exception {
        Path run = folder.resolve("run.jsonl");
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        int exit = Train.commandLine(new PrintStream(bytes, true, StandardCharsets.UTF_8))
                .execute("--record=" + run, "--steps=3", "--image=40", "--frozen=3", "--threads=1", "--max-norm=0.5");
        String text = bytes.toString(StandardCharsets.UTF_8);
        assertEquals(0, exit, text);
        assertTrue(text.startsWith("3 steps, clipped to a norm of 0.5 in 3 of them; the loss went from "), text);
        Training training = Training.seeded(2, 40, 3, GradientHabit.FRESH);
        try (RunReader reader = RunReader.open(run);
                Clipping clipping = new LibTorchClipping(training)) {
            for (int step = 0; step < 3; step++) {
                training.backward();
                double norm = clipping.clip(0.5);
                training.step();
                RunStep found = Objects.requireNonNull(reader.next());
                assertEquals(step, found.step());
                assertEquals(norm, found.norm(), 1e-2 * norm);
                assertEquals(0.5, found.threshold());
                assertTrue(found.clipped());
                assertEquals(161, reader.names().size());
                assertEquals("fc.bias", reader.names().get(160));
                double[] norms = reader.norms();
                double squares = 0;
                for (double each : norms) squares += each * each;
                assertEquals(found.norm(), Math.sqrt(squares), 1e-5 * norm);
                assertArrayEquals(new double[3], Arrays.copyOf(norms, 3), "frozen parameters have no gradient");
            }
            assertNull(reader.next());
        }
    }

    @Test
    void whatCannotBeRecordedIsRefused() throws Exception {
        Path run = Files.writeString(folder.resolve("run.jsonl"), "mine");
        StringWriter errors = new StringWriter();
        CommandLine line = Train.commandLine(System.out).setErr(new PrintWriter(errors));
        assertEquals(2, line.execute("--record", run.toString()));
        assertTrue(errors.toString().contains("is there already"), errors.toString());
        assertEquals("mine", Files.readString(run));
        assertEquals(2, line.execute("--record", folder.resolve("new.jsonl").toString(), "--updates"));
        assertTrue(errors.toString().contains("--record goes without"), errors.toString());
        assertEquals(2, line.execute("--record", folder.resolve("new.jsonl").toString(), "--max-norm", "NaN"));
        assertTrue(errors.toString().contains("--max-norm must be above 0, but is NaN"), errors.toString());
    }

    @Test
    void aWrongNormIsAnError() {
        Training training = Training.seeded(2, 40, 0, GradientHabit.KEPT);
        Map<String, Supplier<Clipping>> ways = new LinkedHashMap<>();
        ways.put("LibTorch", () -> new LibTorchClipping(training));
        ways.put("a liar", () -> new Liar(new LibTorchClipping(training)));
        training.backward();
        double norm = new LibTorchClipping(training).clip(1e9);
        Round round = new Round(training, false, ways, 1, norm);
        String message = String.valueOf(
                assertThrows(IllegalStateException.class, () -> round.run(0, 1)).getMessage());
        assertTrue(message.startsWith("a liar found the norm"), message);
    }

    @Test
    void updatesShowTimesLimitAndLosses() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        int exit = Train.commandLine(new PrintStream(bytes, true, StandardCharsets.UTF_8))
                .execute("--updates", "--loss-steps=4", "--steps=2", "--warmup=1", "--image=40", "--threads=1");
        String text = bytes.toString(StandardCharsets.UTF_8);
        assertEquals(0, exit, text);
        String micros = " \\| [0-9,]+ \\([0-9,]+ to [0-9,]+\\) \\| [0-9.]+ \\| [0-9.]+ \\|";
        for (String row : new String[] {
            "LibTorch: clip_grad_norm_, then step\\(\\)",
            "gradclip decides, LibTorch's fused kernel updates",
            "gradclip: step",
            "byte limit: (plain C that moves|this JVM's own loops over) as many bytes"
        }) {
            assertTrue(text.lines().anyMatch(line -> line.matches("\\| " + row + micros)), row + " in " + text);
        }
        assertEquals(
                3,
                text.lines()
                        .filter(line -> line.matches("\\| .*( \\| [0-9]+[.][0-9]{6}){4} \\|"))
                        .count(),
                text);
        assertTrue(text.contains("the tolerance is 1e-03"), text);
        assertTrue(text.lines().anyMatch(line -> line.matches("update [0-9.]+")), text);
    }

    @Test
    void aWrongLossIsAnError() {
        Map<String, Function<TensorVector, UpdateLosses.Way>> ways = new LinkedHashMap<>();
        ways.put("LibTorch", parameters -> UpdateLosses.libTorch(parameters, 1, UpdateLosses.RATE));
        ways.put("another rate", parameters -> UpdateLosses.libTorch(parameters, 1, 2 * UpdateLosses.RATE));
        PrintStream out = new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8);
        String message = String.valueOf(assertThrows(
                        IllegalStateException.class,
                        () -> UpdateLosses.run(out, () -> Training.seeded(2, 40, 3, GradientHabit.FRESH), ways, 4))
                .getMessage());
        assertTrue(message.startsWith("another rate has the loss "), message);
    }

    /** Few weights, so that it is quick; {@code --parity} does the same at ResNet-50's shapes. */
    @Test
    void weightsAreAsExactAsLibTorchs() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        UpdateParity parity = new UpdateParity(new SmallTensors(20, 1000).parameters(), 50);
        parity.run(out);
        String text = bytes.toString(StandardCharsets.UTF_8);
        assertEquals(4, text.lines().count(), text);
        UpdateParity.Distances found = parity.distances(Update.adamW(1e-2));
        // Not 0, so that weights were compared, and a few roundings.
        assertTrue(found.ours() > 1 && found.ours() < 60 && found.apart() <= 8, found::toString);
        // Weights after another rate are far from the exact ones.
        UpdateParity.Distances wrong = parity.distances(Update.adamW(1.01e-2));
        assertTrue(wrong.ours() > 1000, wrong::toString);
        assertTrue(wrong.theirs() < 60, wrong::toString);
    }

    @Test
    void plainCPassesOverMemory() throws Exception {
        for (int states = 0; states <= 2; states++) {
            try (PlainC plain = PlainC.start(2, 100_000, states, states == 1)) {
                assumeTrue(plain != null, "there is no C compiler");
                for (int i = 0; plain != null && i < 3; i++) assertTrue(plain.micros() > 0);
            }
        }
    }

    private record Liar(Clipping honest) implements Clipping {
        @Override
        public void collect() {}

        @Override
        public void rebind() {}

        @Override
        public double clip(double maxNorm) {
            return honest.clip(maxNorm) * 1.01;
        }
    }

    @Test
    void whatCantBeTrainedIsRefused() {
        StringWriter errors = new StringWriter();
        CommandLine line = Train.commandLine(System.out).setErr(new PrintWriter(errors));
        assertEquals(2, line.execute("--image", "32"));
        assertTrue(errors.toString().contains("--image must be 33 or more, but is 32"), errors.toString());
        assertEquals(2, line.execute("--steps", "0"));
        assertEquals(2, line.execute("--gradients", "none"));
    }
}
