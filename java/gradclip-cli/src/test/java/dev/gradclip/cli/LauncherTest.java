// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Runs the script {@code gradclip} in a tree of its own, with the tools of one folder; Maven and the JDK are played.
 */
@EnabledOnOs(OS.LINUX)
class LauncherTest {
    private static final Path TREE = Path.of("../..").toAbsolutePath().normalize();
    private static final List<String> MODULES = List.of(
            "java/gradclip",
            "java/gradclip-report",
            "java/gradclip-measure",
            "java/gradclip-demo",
            "java/gradclip-cli");
    private static final String NATIVE =
            "java/gradclip/target/classes/dev/gradclip/internal/native/linux/libgradclip.so";

    /** Says what Maven says, in its colours and on both streams, and makes what it makes. */
    private static final String MAVEN = """
            #!/bin/sh
            echo built >>"$TREE/builds"
            printf '\\033[0m\\033[0m' >&2
            echo '[INFO] Downloaded from central: somewhere (1 kB at 1 kB/s)'
            echo '[INFO] --- maven-compiler-plugin:3.14.1:compile (default-compile) @ gradclip ---'
            echo '[INFO] --- maven-antrun-plugin:3.1.0:run (build-native) @ gradclip ---'
            if [ -e "$TREE/broken" ]; then
              printf '[\\033[1;31mERROR\\033[m] There.java:[3,1] it is wrong\\n[INFO] BUILD FAILURE\\n\\033[0m'
              exit 1
            fi
            if command -v cmake >/dev/null; then
              mkdir -p "$(dirname "$TREE/%1$s")"
              : >"$TREE/%1$s"
            fi
            echo '[INFO] --- maven-compiler-plugin:3.14.1:compile (default-compile) @ gradclip-cli ---'
            mkdir -p "$TREE/java/gradclip-cli/target/lib"
            : >"$TREE/java/gradclip-cli/target/gradclip-cli.jar"
            : >"$TREE/java/gradclip-cli/target/lib/gradclip.jar"
            printf '\\033[0m\\033[0m'
            """.formatted(NATIVE);

    @TempDir
    Path folder;

    private Path tree;
    private Path tools;

    private record Ended(int code, String out, String err) {
        /** Returns an option that the JVM was to be given. */
        String option(String name) {
            for (String line : out.split("\n", -1)) if (line.startsWith("-D" + name + "=")) return line;
            throw new AssertionError(name + " is not among\n" + out);
        }
    }

    @BeforeEach
    void machine() throws IOException {
        tree = Files.createDirectory(folder.resolve("tree"));
        tools = Files.createDirectory(folder.resolve("bin"));
        List<String> files = new ArrayList<>(List.of("gradclip", "cuda/build.sh", "pom.xml"));
        for (String module : MODULES) files.add(module + "/pom.xml");
        for (String name : files) {
            Files.createDirectories(tree.resolve(name).getParent());
            Files.copy(TREE.resolve(name), tree.resolve(name));
            Files.setLastModifiedTime(tree.resolve(name), FileTime.fromMillis(0));
        }
        for (String module : MODULES) Files.createDirectories(tree.resolve(module + "/src/main"));
        Files.createDirectories(tree.resolve("cmake"));
        for (String tool : "sh cat cp date dirname find head mkdir mv readlink rm sed tail uname".split(" ", -1))
            link(tool);
        Path jdk = folder.resolve("jdk");
        Files.createDirectories(jdk.resolve("bin"));
        Files.createDirectories(jdk.resolve("include"));
        Files.writeString(jdk.resolve("include/jni.h"), "");
        Files.writeString(jdk.resolve("release"), "JAVA_VERSION=\"17.0.1\"\n");
        script(jdk.resolve("bin/java"), "#!/bin/sh\nprintf '%s\\n' \"LC_ALL=${LC_ALL:-}\" \"$@\"\n");
        script(jdk.resolve("bin/javac"), "#!/bin/sh\n");
        script(tools.resolve("mvn"), MAVEN);
        for (String tool : List.of("make", "c++", "cmake")) script(tools.resolve(tool), "#!/bin/sh\n");
    }

    private void link(String tool) throws IOException {
        Path found = Stream.of(System.getenv("PATH").split(":", -1))
                .map(entry -> Path.of(entry, tool))
                .filter(Files::isExecutable)
                .findFirst()
                .orElseThrow(() -> new AssertionError("no " + tool));
        Files.createSymbolicLink(tools.resolve(tool), found);
    }

    private static void script(Path path, String text) throws IOException {
        Files.writeString(path, text);
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private Ended run(Map<String, String> environment, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(tree.resolve("gradclip").toString()));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().clear();
        builder.environment().put("PATH", tools.toString());
        builder.environment().put("JAVA_HOME", folder.resolve("jdk").toString());
        builder.environment().put("TREE", tree.toString());
        builder.environment().putAll(environment);
        Path out = folder.resolve("out");
        Path err = folder.resolve("err");
        Process process =
                builder.redirectOutput(out.toFile()).redirectError(err.toFile()).start();
        process.getOutputStream().close();
        assertTrue(process.waitFor(60, TimeUnit.SECONDS));
        return new Ended(process.exitValue(), Files.readString(out), Files.readString(err));
    }

    private Ended run(String... arguments) throws IOException, InterruptedException {
        return run(Map.of(), arguments);
    }

    private long builds() throws IOException {
        Path file = tree.resolve("builds");
        return Files.exists(file) ? Files.readAllLines(file).size() : 0;
    }

    @Test
    void theFirstRunSaysWhatItDoesOnStandardErrorAlone() throws Exception {
        Ended first = run("clip", "a b");
        assertEquals(0, first.code(), first.err());
        assertTrue(first.out().endsWith("\nclip\na b\n"), first.out());
        assertTrue(first.out().startsWith("LC_ALL="), first.out());
        for (String said : List.of(
                "building, once and after changes to the sources; this takes a minute or two",
                "compiling the library\n",
                "compiling native code, the longest part\n",
                "compiling the command\n",
                "built\n")) {
            assertTrue(first.err().contains(said), first.err());
        }
        assertTrue(first.err().lines().allMatch(line -> line.startsWith("gradclip: ")), first.err());
        assertFalse(first.err().contains("\u001b"), "Maven ends with four escapes");
        assertEquals("-Dgradclip.missing=", first.option("gradclip.missing"));
        Ended second = run("clip");
        assertEquals("", second.err());
        assertEquals(1, builds());
    }

    @Test
    void manyDownloadsAreCounted() throws Exception {
        script(tools.resolve("mvn"), MAVEN.replace("echo '[INFO] Downloaded", """
                i=0; while [ $i -lt 250 ]; do echo '[INFO] Downloaded from central: x'; i=$((i + 1)); done
                echo '[INFO] Downloaded"""));
        String err = run("info").err();
        assertTrue(err.contains("100 files downloaded") && err.contains("200 files downloaded"), err);
        assertFalse(err.contains("250 files") || err.contains("251 files"), err);
    }

    @ParameterizedTest
    @CsvSource({
        "cmake, CMake not found; install cmake",
        "make, make or ninja not found; install make",
        "c++, a C++ compiler not found; install g++"
    })
    void aMissingToolIsToldAndTheNextRunWithItBuildsAnew(String tool, String lack) throws Exception {
        Files.move(tools.resolve(tool), folder.resolve("away"));
        Ended first = run("info");
        assertEquals(0, first.code(), first.err());
        String line = "gradclip: native libraries not built: " + lack + ". Continuing with plain Java.\n";
        assertTrue(first.err().contains(line), first.err());
        assertFalse(first.err().contains("compiling native code"), first.err());
        assertEquals("-Dgradclip.missing=" + lack, first.option("gradclip.missing"));
        Files.deleteIfExists(tree.resolve(NATIVE));
        Ended second = run("info");
        assertEquals("", second.err(), "told once; each command's text says it after that");
        assertEquals("-Dgradclip.missing=" + lack, second.option("gradclip.missing"));
        assertEquals(1, builds());
        Files.move(folder.resolve("away"), tools.resolve(tool));
        Ended third = run("info");
        assertTrue(third.err().contains("compiling native code"), third.err());
        assertEquals("-Dgradclip.missing=", third.option("gradclip.missing"));
        assertEquals(2, builds());
        assertEquals("", run("info").err());
        assertEquals(2, builds());
    }

    @Test
    void aBuildThatHoldsNoNativeCodeThoughAllToolsAreThereIsNotRepeatedForEver() throws Exception {
        script(tools.resolve("mvn"), MAVEN.replace("command -v cmake", "false"));
        run("info");
        assertEquals("", run("info").err());
        assertEquals(1, builds());
    }

    @Test
    void aBuildByHandWithoutToolsIsMendedToo() throws Exception {
        run("info");
        Files.delete(tree.resolve("java/gradclip-cli/target/launcher.stamp"));
        Files.delete(tree.resolve(NATIVE));
        run("info");
        assertEquals(2, builds());
    }

    @Test
    void aDriverWithoutTheCudaCompilerIsTold() throws Exception {
        script(tools.resolve("nvidia-smi"), "#!/bin/sh\n");
        Ended first = run(Map.of("CUDA_HOME", "/nowhere"), "info");
        assertTrue(
                first.err().contains("CUDA library not built: nvcc not found; install the CUDA toolkit"), first.err());
        assertTrue(first.err().contains("compiling native code"), first.err());
        assertEquals("-Dgradclip.missing=", first.option("gradclip.missing"));
        assertEquals("", run(Map.of("CUDA_HOME", "/nowhere"), "info").err());
        script(tools.resolve("nvcc"), "#!/bin/sh\n");
        run("info");
        assertEquals(2, builds());
    }

    @Test
    void aFailedBuildShowsItsFaultsWithoutEscapes() throws Exception {
        Files.writeString(tree.resolve("broken"), "");
        Ended failed = run("info");
        assertEquals(3, failed.code());
        assertEquals("", failed.out());
        assertTrue(failed.err().contains("[ERROR] There.java:[3,1] it is wrong\n"), failed.err());
        assertFalse(failed.err().contains("[INFO]") || failed.err().contains("\u001b"), failed.err());
        assertTrue(failed.err().contains("gradclip: error: the build failed"), failed.err());
        Files.delete(tree.resolve("broken"));
        assertEquals(0, run("info").code());
    }

    /** The JVM takes its encoding from the locale as installed; if one category is not, it takes ASCII for all. */
    @ParameterizedTest
    @CsvSource({
        "LANG=de_DE.UTF-8, ANSI_X3.4-1968, C.UTF-8",
        "LANG=C, ANSI_X3.4-1968, C.UTF-8",
        "LANG=C.UTF-8, UTF-8, ''",
        "LANG=de_DE.ISO-8859-1, ISO-8859-1, ''",
        "LANG=xy.UTF-8, locale: Cannot set LC_ALL to default locale, C.UTF-8",
        "LANG=C.UTF-8, '', ''",
        "LANG=POSIX, '', C.UTF-8",
        "LC_ALL=C, '', C.UTF-8"
    })
    void whatCountsIsTheEncodingOfTheLocale(String variable, String charmap, String changed) throws Exception {
        // Complaints go to standard error and UTF-8 to standard output where LC_CTYPE alone is there.
        if (charmap.startsWith("locale:"))
            script(tools.resolve("locale"), "#!/bin/sh\necho '" + charmap + "' >&2\necho UTF-8\n");
        else if (!charmap.isEmpty()) script(tools.resolve("locale"), "#!/bin/sh\necho " + charmap + "\n");
        String[] pair = variable.split("=", 2);
        String before = pair[0].equals("LC_ALL") ? pair[1] : "";
        Ended ended = run(Map.of(pair[0], pair[1]), "info");
        assertTrue(ended.out().startsWith("LC_ALL=" + (changed.isEmpty() ? before : changed) + "\n"), ended.out());
    }

    /** With the machine's own locale and a JVM: only so is it seen that the JVM can name the file. */
    @Test
    void aFolderWhoseNameIsNotAsciiUnderALocaleThatIsNotInstalled() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/locale")), "needs locale");
        link("locale");
        Path jvm = Path.of(System.getProperty("java.home"), "bin", "java");
        script(
                folder.resolve("jdk/bin/java"),
                "#!/bin/sh\nwhile [ \"$1\" != -jar ]; do shift; done\nshift 2\nexec '" + jvm
                        + "' -XX:TieredStopAtLevel=1 -cp '" + folder + "' Names \"$@\"\n");
        Files.writeString(folder.resolve("Names.java"), """
                public class Names {
                    public static void main(String[] args) {
                        System.out.print(new java.io.File(args[0]).exists());
                    }
                }
                """);
        assertEquals(0, ToolProvider.getSystemJavaCompiler().run(null, null, null, folder + "/Names.java"));
        script(folder.resolve("make.sh"), "#!/bin/sh\nmkdir -p \"$1/ü\" && : >\"$1/ü/g\" && exec \"$2\" \"$1/ü/g\"\n");
        for (String lang : List.of("xy_XY.UTF-8", "C", "C.UTF-8")) {
            ProcessBuilder builder = new ProcessBuilder(
                    "sh",
                    folder.resolve("make.sh").toString(),
                    folder.toString(),
                    tree.resolve("gradclip").toString());
            builder.environment().clear();
            builder.environment()
                    .putAll(Map.of(
                            "PATH",
                            tools.toString(),
                            "TREE",
                            tree.toString(),
                            "LANG",
                            lang,
                            "JAVA_HOME",
                            folder.resolve("jdk").toString()));
            Process process =
                    builder.redirectError(ProcessBuilder.Redirect.DISCARD).start();
            String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertEquals("true", out, lang);
        }
    }
}
