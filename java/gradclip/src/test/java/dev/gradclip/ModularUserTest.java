// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
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

    /** The CUDA library in a jar of its own: on the class path beside the module path, and as a module. */
    @Test
    void aModuleFindsTheCudaLibraryInAnotherJar() throws Exception {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
        Path library = copyWithoutCuda(Path.of(System.getProperty("build.classes", "target/classes")));
        Path natives = library.resolve("dev/gradclip/internal/native");
        String platform;
        try (Stream<Path> platforms = Files.list(natives)) {
            platform = platforms.findFirst().orElseThrow().getFileName().toString();
        }
        Path jar = folder.resolve("gradclip-cuda13.jar");
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().put(new Attributes.Name("Automatic-Module-Name"), "dev.gradclip.cuda13");
        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar), manifest)) {
            out.putNextEntry(new ZipEntry("dev/gradclip/internal/native/" + platform + "/libgradclip_cuda.so"));
            Files.copy(EmulatedCuda.folder().resolve("libgradclip_cuda_emulated.so"), out);
        }
        Path sources = Files.createDirectories(folder.resolve("src/user"));
        Files.writeString(folder.resolve("src/module-info.java"), "module user { requires dev.gradclip; }\n");
        Files.writeString(sources.resolve("User.java"), """
                package user;

                import dev.gradclip.*;

                public class User {
                    public static void main(String[] args) {
                        System.out.print(Backend.CUDA.isAvailable() + ": " + Backend.CUDA.reason());
                    }
                }
                """);
        Path classes = folder.resolve("classes");
        execute(
                "javac",
                List.of(
                        "-d",
                        classes.toString(),
                        "--module-path",
                        library.toString(),
                        sources.resolve("User.java").toString(),
                        folder.resolve("src/module-info.java").toString()));
        String loaded = "true: loaded from jar:/dev/gradclip/internal/native/" + platform + "/libgradclip_cuda.so";
        String modules = library + ":" + classes;
        String main = "user/user.User";
        assertEquals("false: this jar holds no CUDA library for " + platform, runModule("-p", modules, "-m", main));
        assertEquals(loaded, runModule("-p", modules, "-cp", jar.toString(), "-m", main));
        assertEquals(loaded, runModule("-p", modules + ":" + jar, "--add-modules", "dev.gradclip.cuda13", "-m", main));
    }

    private Path copyWithoutCuda(Path from) throws IOException {
        Path to = folder.resolve("library");
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file :
                    files.filter(f -> !f.endsWith("libgradclip_cuda.so")).toList())
                Files.copy(file, to.resolve(from.relativize(file).toString()));
        }
        return to;
    }

    private static String runModule(String... options) throws Exception {
        List<String> all = new ArrayList<>();
        if (Runtime.version().feature() >= 22) all.add("--enable-native-access=dev.gradclip");
        all.addAll(List.of(options));
        return execute("java", all);
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
