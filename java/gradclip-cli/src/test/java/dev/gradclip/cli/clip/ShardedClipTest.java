// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.safetensors.TensorFiles;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Several files with an index, clipped by one norm. */
class ShardedClipTest {
    private static final String INDEX = "model.safetensors.index.json";
    private static final String FIRST = "model-00001-of-00002.safetensors";
    private static final String SECOND = "model-00002-of-00002.safetensors";
    private static final String MAP = "{\"metadata\":{\"total_size\":1},\"weight_map\":{\"b\":\"" + SECOND
            + "\",\"a\":\"" + FIRST + "\",\"c\":\"" + SECOND + "\"}}";

    @TempDir
    private Path folder = Path.of("");

    private Path in = folder;
    private Path out = folder;

    private final float[] a = random(1, 5000);
    private final float[] b = random(2, 70);
    private final float[] c = random(3, 3000);

    private static float[] random(int seed, int count) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) values[i] = random.nextFloat() - 0.5f;
        return values;
    }

    @BeforeEach
    void shards() throws IOException {
        in = Files.createDirectory(folder.resolve("in")).resolve(INDEX);
        out = Files.createDirectory(folder.resolve("out")).resolve(INDEX);
        Files.writeString(in, MAP);
        new Gradients().floats("a", a).write(in.resolveSibling(FIRST));
        new Gradients().floats("b", b).floats("c", c).write(in.resolveSibling(SECOND));
    }

    private Outcome clip(Object... options) {
        Object[] arguments = new Object[options.length + 4];
        System.arraycopy(new Object[] {"clip", in, "-o", out}, 0, arguments, 0, 4);
        System.arraycopy(options, 0, arguments, 4, options.length);
        return Outcome.of(arguments);
    }

    private static byte[] data(Path file) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        int start = Gradients.dataStart(bytes);
        return Arrays.copyOfRange(bytes, start, bytes.length);
    }

    /** The names of what is in the folder of the output. */
    private List<String> written() throws IOException {
        try (Stream<Path> files = Files.list(folder.resolve("out"))) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void oneNormOverAllFiles() throws IOException {
        Path whole =
                new Gradients().floats("b", b).floats("c", c).floats("a", a).write(folder.resolve("whole"));
        Path clipped = folder.resolve("clipped");
        Object norm = Outcome.of("clip", whole, "-o", clipped, "--max-norm", "1", "--format", "json")
                .expect(ExitCode.DONE)
                .json()
                .get("total_norm");
        Outcome outcome = clip("--max-norm", "1", "--format", "json").expect(ExitCode.DONE);
        assertEquals(norm, outcome.json().get("total_norm"));
        assertEquals(3.0, outcome.json().get("tensors"));
        ByteBuffer both = ByteBuffer.allocate(4 * (a.length + b.length + c.length));
        both.put(data(out.resolveSibling(SECOND))).put(data(out.resolveSibling(FIRST)));
        assertArrayEquals(data(clipped), both.array(), "the bits of one file with the tensors in this order");
        assertEquals(MAP, Files.readString(out));
        assertEquals(List.of(FIRST, SECOND, INDEX), written());
    }

    @Test
    void inspectListsTheTensorsOfAllFiles() {
        Outcome outcome = Outcome.of("inspect", in, "--format", "json").expect(ExitCode.DONE);
        assertEquals(3, ((List<?>) Objects.requireNonNull(outcome.json().get("tensors"))).size());
        assertTrue(Outcome.of("inspect", in, "--exclude", "a|b")
                .expect(ExitCode.DONE)
                .out()
                .contains("c"));
    }

    @Test
    void anotherPlaceIsWanted() throws IOException {
        byte[] before = Files.readAllBytes(in.resolveSibling(FIRST));
        String said = Outcome.of("clip", in, "-o", in, "--max-norm", "1")
                .expect(ExitCode.USAGE)
                .err();
        assertTrue(said.contains("exists; several files are clipped into a folder that has none of them"), said);
        Files.writeString(out.resolveSibling(SECOND), "mine");
        assertTrue(clip("--max-norm", "1").expect(ExitCode.USAGE).err().contains(SECOND + ": exists"));
        assertEquals("mine", Files.readString(out.resolveSibling(SECOND)));
        assertArrayEquals(before, Files.readAllBytes(in.resolveSibling(FIRST)));
        assertEquals(List.of(SECOND), written());
    }

    @Test
    void aNaNInOneFileLeavesNothing() throws IOException {
        c[17] = Float.NaN;
        new Gradients().floats("b", b).floats("c", c).write(in.resolveSibling(SECOND));
        assertTrue(clip("--max-norm", "1").expect(ExitCode.NON_FINITE).err().contains("c"));
        assertEquals(List.of(), written());
    }

    @Test
    void aFailureHalfwayLeavesNothing() throws IOException {
        try (TensorFiles files = TensorFiles.open(in)) {
            int[] calls = {0};
            assertThrows(
                    IOException.class,
                    () -> ClipOutput.of(out, files).write(files, (file, to) -> {
                        to.write(ByteBuffer.wrap(new byte[100]));
                        if (++calls[0] == 2) throw new IOException("the disk is full");
                    }));
            assertEquals(2, calls[0]);
        }
        assertEquals(List.of(), written());
    }

    /** A file that somebody else puts there meanwhile stays, and what was put in its place before is taken back. */
    @Test
    void aFileThatComesMeanwhileStays() throws IOException {
        try (TensorFiles files = TensorFiles.open(in)) {
            ClipOutput output = ClipOutput.of(out, files);
            assertThrows(
                    IOException.class,
                    () -> output.write(
                            files, (file, to) -> Files.writeString(out.resolveSibling(FIRST), "of somebody else")));
        }
        assertEquals(List.of(FIRST), written());
        assertEquals("of somebody else", Files.readString(out.resolveSibling(FIRST)));
    }

    private void assertRefused(String index, String why) throws IOException {
        Files.writeString(in, index);
        String said = clip("--max-norm", "1").expect(ExitCode.USAGE).err();
        assertTrue(said.contains(why), said);
        assertEquals(List.of(), written());
        assertFalse(Outcome.of("inspect", in).err().isEmpty());
    }

    @Test
    void indexesThatDoNotFitAreRefused() throws IOException {
        assertRefused("no json", "is no JSON");
        assertRefused("[]", "is no index of shards");
        assertRefused("{}", "lists no tensors");
        assertRefused("{\"weight_map\":[]}", "must tell the file of each tensor");
        assertRefused(MAP.replace("\"" + FIRST + "\"", "7"), "the file of tensor 'a' must be the name");
        assertRefused(MAP.replace(FIRST, "../in/" + FIRST), "the file of tensor 'a' must be the name");
        assertRefused(MAP.replace(FIRST, ".."), "the file of tensor 'a' must be the name");
        assertRefused(MAP.replace(FIRST, "missing.safetensors"), "there is no such file");
        assertRefused(MAP.replace(",\"c\":\"" + SECOND + "\"", ""), "does not list tensor 'c' of " + SECOND);
        assertRefused(MAP.replace("\"b\":\"" + SECOND, "\"b\":\"" + FIRST), "tensor 'b' is not in");
        assertRefused(MAP.replace("\"b\":", "\"a\":"), "tensor 'a' is listed twice");
        new Gradients().floats("a", a).floats("b", b).write(in.resolveSibling(FIRST));
        assertRefused(MAP, "tensor 'b' is in " + SECOND + " and in " + FIRST);
    }
}
