// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.jcuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example in docs/jcuda.md compiles against this build; to run it takes a GPU. */
class DocsExampleTest {
    @TempDir
    private Path folder = Path.of("");

    @Test
    void theExampleCompiles() throws Exception {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        Path docs = Path.of("../../docs/jcuda.md");
        assumeTrue(compiler != null && Files.exists(docs), "the trimmed runtime of a GPU host has no compiler");
        String page = Files.readString(docs);
        int from = page.indexOf("```java\n") + 8;
        Path source = folder.resolve("Example.java");
        Files.writeString(source, page.substring(from, page.indexOf("```", from)));
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        String classPath = System.getProperty("java.class.path", "");
        int exit = compiler.run(null, said, said, "-cp", classPath, "-d", folder.toString(), source.toString());
        assertEquals(0, exit, () -> said.toString(StandardCharsets.UTF_8));
    }
}
