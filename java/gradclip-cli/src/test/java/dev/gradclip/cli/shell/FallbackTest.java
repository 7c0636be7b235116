// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Child;
import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Outcome;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests that the text says so if native code can't be used; in another JVM, for the library is loaded once. */
class FallbackTest {
    private static final String SAID = "plain Java did the work, not native code: ";

    @TempDir
    Path folder;

    private String said(String properties, String... arguments) throws Exception {
        Child child = Child.start(
                "export JAVA_TOOL_OPTIONS=\"-Ddev.gradclip.native.path=/nowhere " + properties + "\"; ",
                (Object[]) arguments);
        assertEquals(ExitCode.DONE, child.await(), child::said);
        return child.said();
    }

    private String[] clip(String... more) {
        String in =
                new Gradients().floats("a", 3, 4).write(folder.resolve("in")).toString();
        List<String> all =
                new ArrayList<>(List.of("clip", in, "-o", folder.resolve("out").toString()));
        all.addAll(List.of("--max-norm", "1"));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    @Test
    void theTextSaysWhichToolTheLauncherMissed() throws Exception {
        String text = said("-Dgradclip.missing='CMake not found; install cmake'", clip());
        assertTrue(text.endsWith("backend java\n" + SAID + "CMake not found; install cmake\n"), text);
    }

    @Test
    void withoutTheLauncherTheLibrarySaysWhy() throws Exception {
        String text = said("", "bench", "--seconds", "0.1", "--threads", "1");
        assertTrue(
                text.endsWith(
                        "\n" + SAID + "/nowhere/libgradclip.so does not exist; 'gradclip info' tells what to do\n"),
                text);
    }

    @Test
    void jsonStaysJson() throws Exception {
        assertFalse(said("", clip("--format", "json")).contains(SAID));
    }

    /** In this JVM, whatever native code does in it. */
    @Test
    void whoeverAsksForPlainJavaDoesNotHearIt() {
        Outcome outcome = Outcome.of((Object[]) clip("--backend", "java"));
        assertFalse(outcome.expect(ExitCode.DONE).out().contains(SAID));
    }
}
