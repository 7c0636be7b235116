// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.cli.clip.RealGradientsTest;
import dev.gradclip.cli.shell.ExitCode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code --backend cuda}, on the emulated device: a JVM of its own, told where that is. */
@Tag("thorough")
class CudaCommandTest {
    private static final Path EMULATED =
            Path.of("../gradclip/target/native/emulated").toAbsolutePath().normalize();

    @TempDir
    Path folder;

    @BeforeEach
    void isBuilt() {
        assumeTrue(Files.exists(EMULATED.resolve("libgradclip_cuda_emulated.so")), "the emulated device is not built");
    }

    private static String run(Object... args) throws Exception {
        String option = "-Ddev.gradclip.native.path=" + EMULATED;
        Child child = Child.start("export JDK_JAVA_OPTIONS='" + option + "'; ", args);
        assertEquals(ExitCode.DONE, child.await(), child::said);
        return child.said();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--max-norm 1",
                "--max-norm 1 --per-tensor --norm-type inf",
                "--clip-value 0.001",
                "--rule normalize --param length=1 --param scope=tensor --unscale 0.001",
                "--rule block-rms --param max-rms=1e-4 --param scope=row",
                "--group .*w.*=average-norm,max-norm=1e-6 --group .*=per-row-norm,max-norm=1e-3"
            })
    void writesWhatJavaWrites(String rule) throws Exception {
        for (String name : files(rule)) {
            Path in = Files.write(folder.resolve(name), RealGradientsTest.resource(name + ".safetensors"));
            Path cuda = folder.resolve("cuda");
            Path java = folder.resolve("java");
            List<Object> args = new ArrayList<>(List.of("clip", in, "--backend", "cuda", "-o", cuda));
            args.addAll(List.of(rule.split(" ", -1)));
            assertTrue(run(args.toArray()).contains("backend cuda"));
            args.set(3, "java");
            args.set(5, java);
            Outcome.of(args.toArray()).expect(ExitCode.DONE);
            assertArrayEquals(Files.readAllBytes(java), Files.readAllBytes(cuda), name + " " + rule);
            Files.delete(in);
        }
    }

    /** One of them, for each is a JVM that starts an emulator; under the thorough profile all. */
    private static List<String> files(String rule) {
        List<String> all = List.of("rnn-overflow", "gpt-mixed", "gpt-f64");
        if (Integer.getInteger("thorough.scale", 1) > 1) return all;
        return List.of(all.get(Math.floorMod(rule.hashCode(), all.size())));
    }

    @Test
    void demoHasTheFiguresThatJavaHas() throws Exception {
        Path json = folder.resolve("demo.json");
        Path png = folder.resolve("demo.png");
        run("demo", "--seconds", "0.1", "--json", json, "--png", png, "--backend", "cuda");
        String cuda = Files.readString(json);
        assertTrue(cuda.contains("\"backend\":\"cuda\""));
        run("demo", "--seconds", "0.1", "--json", json, "--png", png, "--backend", "java");
        assertEquals(cuda.replace("\"cuda\"", "\"java\""), Files.readString(json));
    }

    @Test
    void infoListsDevices() throws Exception {
        String info = run("info");
        assertTrue(info.contains("Emulated device") && info.contains("compute capability"), info);
    }
}
