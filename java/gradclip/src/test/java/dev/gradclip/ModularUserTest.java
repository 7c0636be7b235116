// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A module that requires the library compiles and runs with nothing else on its module path. */
class ModularUserTest {
    @TempDir
    private Path folder = Path.of("");

    @Test
    void aModuleNeedsNothingButTheLibrary() throws Exception {
        Path sources = Files.createDirectories(folder.resolve("src/user"));
        Files.writeString(folder.resolve("src/module-info.java"), "module user { requires dev.gradclip; }\n");
        Files.writeString(sources.resolve("User.java"), """
                package user;

                import dev.gradclip.*;
                import java.util.Arrays;

                public class User {
                    public static void main(String[] args) {
                        float[] gradient = {3, 4};
                        try (GradientClipper clipper = GradientClipper.of(HostBuffer.wrap(gradient))) {
                            ClipResult result = clipper.clipByGlobalNorm(1);
                            System.out.println(result.globalNorm() + " " + Arrays.toString(gradient));
                        }
                        System.out.println(User.class.getModule() + ", " + ClipRule.class.getModule());
                    }
                }
                """);
        String library = System.getProperty("build.classes", "target/classes");
        Path classes = folder.resolve("classes");
        execute(
                "javac",
                List.of(
                        "-Xlint:all",
                        "-Werror",
                        "-d",
                        classes.toString(),
                        "--module-path",
                        library,
                        sources.resolve("User.java").toString(),
                        folder.resolve("src/module-info.java").toString()));
        List<String> run = new ArrayList<>();
        if (Runtime.version().feature() >= 22) run.add("--enable-native-access=dev.gradclip");
        run.addAll(List.of("--module-path", library + ":" + classes, "--module", "user/user.User"));
        assertEquals("5.0 [0.5999999, 0.79999983]\nmodule user, module dev.gradclip\n", execute("java", run));
    }

    private static String execute(String tool, List<String> arguments) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home", ""), "bin", tool).toString());
        command.addAll(arguments);
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
        return output;
    }
}
