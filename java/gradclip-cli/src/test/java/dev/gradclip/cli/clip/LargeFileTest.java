// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One tensor beyond 2^31 bytes, and, since it reads sparse zeros, beyond 2^31 elements too. */
@Tag("thorough")
class LargeFileTest {
    private static final long ELEMENTS = (1L << 31) + 1;

    @TempDir
    Path folder;

    @BeforeEach
    void onlyWhenThorough() {
        assumeTrue(Integer.getInteger("thorough.scale", 1) > 1, "reads 8 GiB");
    }

    @Test
    void measuresTheLastElement() throws IOException {
        Path in = Gradients.sparse(folder.resolve("in"), ELEMENTS);
        try (RandomAccessFile file = new RandomAccessFile(in.toFile(), "rw")) {
            file.seek(Files.size(in) - 4);
            file.write(ByteBuffer.allocate(4)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putFloat(3)
                    .array());
        }
        var total = Json.map(
                Outcome.of("inspect", in, "--format", "json")
                        .expect(ExitCode.DONE)
                        .json(),
                "total");
        assertEquals((double) ELEMENTS, total.get("elements"));
        assertEquals(3.0, total.get("l1"));
        assertEquals(3.0, total.get("l2"));
        assertEquals(3.0, total.get("max_abs"));
    }

    @Test
    void clipsTheLastElement() throws IOException {
        assumeTrue(folder.toFile().getUsableSpace() > 4L << 30, "4 GiB of disk");
        // Half as many elements: a tensor beyond 2^31 bytes, for the output takes its whole size.
        long elements = (1L << 29) + 5;
        Path in = Gradients.sparse(folder.resolve("in"), elements);
        long last = Files.size(in) - 4;
        try (RandomAccessFile file = new RandomAccessFile(in.toFile(), "rw")) {
            file.seek(last);
            file.writeInt(Integer.reverseBytes(Float.floatToIntBits(3)));
        }
        Path out = folder.resolve("out");
        Outcome.of("clip", in, "-o", out, "--max-norm", "1", "--epsilon", "0").expect(ExitCode.DONE);
        try (RandomAccessFile file = new RandomAccessFile(out.toFile(), "r")) {
            assertEquals(last + 4, file.length());
            file.seek(last);
            assertEquals(1f, Float.intBitsToFloat(Integer.reverseBytes(file.readInt())));
        }
    }
}
