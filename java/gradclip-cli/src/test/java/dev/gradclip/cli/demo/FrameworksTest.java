// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Child;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests how {@code gradclip demo --framework} finds a stub; real frameworks are tested in java/examples. */
class FrameworksTest {
    private static final String EXAMPLES = "gradclip.examples";

    @TempDir
    Path folder;

    @BeforeEach
    void nothingBuilt() {
        System.setProperty(EXAMPLES, folder.toString());
    }

    @AfterEach
    void clear() {
        System.clearProperty(EXAMPLES);
    }

    private Outcome demo(Object... more) {
        List<Object> args = new ArrayList<>(List.of("demo", "--seconds", "2"));
        args.addAll(List.of("--json", folder.resolve("demo.json"), "--png", folder.resolve("demo.png")));
        args.addAll(List.of(more));
        return Outcome.of(args.toArray());
    }

    private void jar(String example, String... providers) throws IOException {
        Path target = Files.createDirectories(folder.resolve(example).resolve("target"));
        try (OutputStream file = Files.newOutputStream(target.resolve(example + ".jar"));
                ZipOutputStream jar = new ZipOutputStream(file)) {
            jar.putNextEntry(new ZipEntry("META-INF/services/dev.gradclip.demo.Framework"));
            jar.write(String.join("\n", providers).getBytes(StandardCharsets.UTF_8));
        }
    }

    @Test
    void aBuiltOneTrains() throws IOException {
        jar("djl", StubFramework.class.getName());
        Outcome outcome = demo("--framework", "djl").expect(ExitCode.DONE);
        assertTrue(outcome.out().contains("a stub tells always 3; plain SGD, learning rate 7, 8 steps"), outcome::out);
        Map<String, Object> digits = Json.map(Json.object(Files.readString(folder.resolve("demo.json"))), "digits");
        assertEquals("djl", Json.string(digits, "framework"));
        for (Map<String, Object> run : Json.maps(digits, "runs")) {
            boolean none = Json.string(run, "clipping").equals("none");
            assertEquals(none ? 0 : 8, Json.number(run, "clipped_steps"));
            assertEquals(32 * 64, Json.number(run, "largest_norm"));
            assertEquals(0.1, Json.number(run, "test_accuracy"), 0.04, "a tenth of the images are a 3");
        }
    }

    @Test
    void oneThatIsNotBuiltSaysHow() {
        demo("--framework", "djl").refused(ExitCode.FAILURE, "djl is not built", "-Pframeworks", "java/examples/djl");
        demo("--framework", "torch").refused(ExitCode.FAILURE, "torch is not built", "-pl java/examples/train -am");
    }

    /** A folder that a command is started in may be anybody's: code is taken only from where the launcher says. */
    @Test
    void theCurrentFolderIsNotLookedInto() throws Exception {
        Path cwd = folder.resolve("cwd/java/examples");
        Files.createDirectories(cwd);
        jar("djl", StubFramework.class.getName());
        Files.move(folder.resolve("djl"), cwd.resolve("djl"));
        Child child =
                Child.start("cd '" + folder.resolve("cwd") + "' && ", "demo", "--framework", "djl", "--seconds", "2");
        assertEquals(ExitCode.FAILURE, child.await(), child::said);
        assertTrue(child.said().contains("./gradclip demo --framework djl finds it"), child::said);
        System.clearProperty(EXAMPLES);
        demo("--framework", "djl")
                .refused(ExitCode.FAILURE, "not on the class path", "./gradclip demo --framework djl");
    }

    @Test
    void anotherOfThatNameIsNotTaken() throws IOException {
        jar("dl4j", StubFramework.class.getName());
        demo("--framework", "dl4j").refused(ExitCode.FAILURE, "dl4j is not built");
    }

    @Test
    void oneThatDoesNotFitSaysSo() throws IOException {
        jar("djl", "dev.gradclip.NotThere");
        demo("--framework", "djl").refused(ExitCode.FAILURE, "djl", "does not fit", "NotThere", "builds it");
    }

    @Test
    void refusals() throws IOException {
        demo("--framework", "keras").refused(ExitCode.USAGE, "'keras'", "torch, djl, dl4j");
        jar("djl", StubFramework.class.getName());
        demo("--framework", "djl", "temporal-order").refused(ExitCode.USAGE, "--framework is for digits");
        demo("--framework", "djl", "--threads", "2").refused(ExitCode.USAGE, "--threads", "djl");
        demo("--framework", "djl", "--backend", "java").refused(ExitCode.USAGE, "--backend", "djl");
        demo("--framework", "djl", "digits").expect(ExitCode.DONE);
    }
}
