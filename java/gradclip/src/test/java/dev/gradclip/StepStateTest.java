// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The state of updates in a file: a restart goes on to the bit, and what does not fit is refused by name. */
class StepStateTest {
    @TempDir
    private Path folder = Path.of("");

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static final List<Update> UPDATES = List.of(
            Update.sgd(0.1),
            Update.sgd(0.1).withMomentum(0.9).withDampening(0.5),
            Update.adam(0.01),
            Update.adamW(0.01),
            Update.adamW(0.001).withMasterWeights());

    /** Weights and gradients of a little model, the second tensor absent in every third step. */
    private static final class Model {
        private final TestBackend backend;
        private final HostBuffer[] gradients = {
            Values.buffer(DType.FLOAT32, new double[3000]), Values.buffer(DType.BFLOAT16, new double[70])
        };
        private final HostBuffer[] weights;
        private final GradientClipper clipper;

        Model(TestBackend backend, double[][] start) {
            this.backend = backend;
            weights =
                    new HostBuffer[] {Values.buffer(DType.FLOAT32, start[0]), Values.buffer(DType.BFLOAT16, start[1])};
            clipper = backend.builder()
                    .add("layer.kernel", backend.place(gradients[0]))
                    .weights(backend.place(weights[0]))
                    .add("layer \"ü\"\n", backend.place(gradients[1]))
                    .weights(backend.place(weights[1]))
                    .build();
        }

        void step(Update update, int step) {
            Random random = new Random(step);
            List<GradientBuffer> now = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                double[] g = random.doubles(gradients[i].length(), -1, 1).toArray();
                now.add(i == 1 && step % 3 == 2 ? null : backend.place(Values.buffer(gradients[i].dtype(), g)));
            }
            clipper.rebind(now);
            clipper.step(update, ClipRule.globalNorm(1));
        }

        double[][] values() {
            return new double[][] {Values.read(weights[0]), Values.read(weights[1])};
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aRestartGoesOnToTheBit(TestBackend backend) throws IOException {
        Path file = folder.resolve("state.safetensors");
        double[][] start = {Values.normal(1, 3000, 1), Values.normal(2, 70, 1)};
        for (Update update : UPDATES) {
            Model whole = new Model(backend, start);
            for (int step = 0; step < 8; step++) whole.step(update, step);
            Model first = new Model(backend, start);
            for (int step = 0; step < 4; step++) first.step(update, step);
            first.clipper.state().save(file);
            Model second = new Model(backend, first.values());
            second.clipper.state().load(file);
            assertEquals(4, second.clipper.state().steps());
            assertEquals(3, second.clipper.state().steps("layer \"ü\"\n"));
            for (int step = 4; step < 8; step++) second.step(update, step);
            assertArrayEquals(whole.values()[0], second.values()[0], update::toString);
            assertArrayEquals(whole.values()[1], second.values()[1], update::toString);
        }
    }

    private static GradientClipper clipper(String name, int length, DType dtype) {
        return GradientClipper.builder()
                .add(name, HostBuffer.allocate(dtype, length))
                .weights(HostBuffer.allocate(dtype, length))
                .build();
    }

    private Path saved(Update update) throws IOException {
        Path file = folder.resolve("saved.safetensors");
        try (GradientClipper clipper = clipper("kernel", 5, DType.FLOAT32)) {
            clipper.step(update, ClipRule.globalNorm(1));
            clipper.state().save(file);
        }
        return file;
    }

    @Test
    void whatDoesNotFitIsRefusedByName() throws IOException {
        Path file = saved(Update.adamW(0.1));
        assertRefused(file, clipper("other", 5, DType.FLOAT32), "holds no state of other");
        assertRefused(file, clipper("kernel", 6, DType.FLOAT32), "kernel.exp_avg", "5", "6");
        assertRefused(file, clipper("kernel", 5, DType.FLOAT64), "kernel.exp_avg", "F32", "F64");
        try (GradientClipper sgd = clipper("kernel", 5, DType.FLOAT32)) {
            sgd.step(Update.sgd(0.1), ClipRule.globalNorm(1));
            String said = String.valueOf(assertThrows(
                            IllegalArgumentException.class, () -> sgd.state().load(file))
                    .getMessage());
            assertTrue(said.contains("state of sgd"), said);
        }
    }

    private static void assertRefused(Path file, GradientClipper clipper, String... words) {
        try (clipper) {
            String said = String.valueOf(assertThrows(
                            IllegalArgumentException.class,
                            () -> clipper.state().load(file))
                    .getMessage());
            for (String word : words) assertTrue(said.contains(word), said);
            assertEquals(0, clipper.state().steps());
        }
    }

    @Test
    void otherFilesAreRefused() throws IOException {
        Path file = folder.resolve("bad");
        try (GradientClipper clipper = clipper("kernel", 5, DType.FLOAT32)) {
            assertThrows(IOException.class, () -> clipper.state().load(folder.resolve("nowhere")));
            byte[] good = Files.readAllBytes(saved(Update.adam(0.1)));
            for (int length : new int[] {0, 7, 8, 9, 100, good.length - 1}) {
                Files.write(file, java.util.Arrays.copyOf(good, length));
                assertThrows(Exception.class, () -> clipper.state().load(file), () -> "cut to " + length);
            }
            Random random = new Random(5);
            int header = good.length - 8 - 24 - 40;
            for (int i = 0; i < 500; i++) {
                byte[] mutated = good.clone();
                mutated[random.nextInt(header)] = (byte) random.nextInt(256);
                Files.write(file, mutated);
                try {
                    clipper.state().load(file);
                } catch (IOException | IllegalArgumentException e) {
                    assertTrue(String.valueOf(e.getMessage()).contains("bad"), e::toString);
                }
            }
            Files.write(file, "a text, not a state".getBytes(StandardCharsets.UTF_8));
            String said = String.valueOf(
                    assertThrows(IOException.class, () -> clipper.state().load(file))
                            .getMessage());
            assertTrue(said.contains("no safetensors file"), said);
        }
    }

    /** Saves again and again until it is killed. */
    static final class Saver {
        public static void main(String[] args) throws IOException {
            try (GradientClipper clipper = clipper("kernel", 1 << 18, DType.FLOAT32)) {
                for (int i = 0; ; i++) {
                    clipper.step(Update.adamW(0.1), ClipRule.globalNorm(1));
                    clipper.state().save(Path.of(args[0]));
                    if (i == 0) System.out.println("saved");
                }
            }
        }
    }

    /** Whoever is killed while it saves leaves a state that loads: the old one or the new. */
    @Test
    void killedWhileItSaves() throws Exception {
        Path file = folder.resolve("killed.safetensors");
        for (int i = 0; i < 5; i++) {
            Process saver = new ProcessBuilder(
                            Path.of(System.getProperty("java.home", ""), "bin", "java")
                                    .toString(),
                            "-cp",
                            ChildJvm.classPath(),
                            Saver.class.getName(),
                            file.toString())
                    // From JDK 24 on it warns of native code there.
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            assertEquals('s', saver.getInputStream().read());
            Thread.sleep(20 + 13 * i);
            saver.destroyForcibly().waitFor(10, TimeUnit.SECONDS);
            try (GradientClipper clipper = clipper("kernel", 1 << 18, DType.FLOAT32)) {
                clipper.state().load(file);
                assertTrue(clipper.state().steps() >= 1);
            }
        }
    }
}
