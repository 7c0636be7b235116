// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.ExitCode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Thousands of damaged files: each is either clipped or refused shortly, and never leaves anything behind. */
@Tag("thorough")
class HeaderMutationTest {
    private static final int PER_SEED = Integer.getInteger("thorough.scale", 1) > 1 ? 10_000 : 200;

    private static final List<String> TOKENS = List.of(
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "null",
            "true",
            "-1",
            "0",
            "1.5",
            "1e9",
            "9223372036854775807",
            "18446744073709551615",
            "\\u0000",
            "\\ud800",
            "F64",
            "F8_E4M3",
            "BOOL",
            "__metadata__",
            "shape",
            "dtype",
            "data_offsets",
            "\u0000",
            "é",
            " ",
            "[0,0]",
            "[]");

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void refusedOrClipped(long seed) throws IOException {
        Random random = new Random(seed);
        byte[] good = new Gradients()
                .metadata("{\"by\":\"test\"}")
                .floats("a", 1, 2, 3)
                .add("empty", "F32", new byte[0], 0, 4)
                .add("h", "BF16", new byte[8], 2, 2)
                .add("i", "I64", new byte[16], 2)
                .add("d", "F64", new byte[8])
                .build();
        Path in = folder.resolve("in");
        Path out = folder.resolve("out");
        int clipped = 0;
        for (int i = 0; i < PER_SEED; i++) {
            Gradients.write(in, mutated(good, random));
            Outcome outcome = Outcome.of("clip", in, "-o", out, "--max-norm", "1", "--threads", "1");
            if (outcome.code() == ExitCode.DONE) {
                assertEquals(Files.size(in), Files.size(out));
                Files.delete(out);
                clipped++;
            } else {
                outcome.refused(ExitCode.USAGE);
            }
            try (var files = Files.list(folder)) {
                assertEquals(1, files.count());
            }
        }
        assertTrue(clipped < PER_SEED / 2, clipped + " mutations went unnoticed");
    }

    private static byte[] mutated(byte[] good, Random random) {
        int start = Gradients.dataStart(good);
        byte[] header = Arrays.copyOfRange(good, 8, start);
        byte[] data = Arrays.copyOfRange(good, start, good.length);
        int times = 1 + random.nextInt(3);
        for (int i = 0; i < times; i++) header = mutatedHeader(header, random);
        switch (random.nextInt(10)) {
            case 0 -> data = Arrays.copyOf(data, random.nextInt(2 * data.length));
            case 1 -> {
                return Gradients.file(random.nextInt(2 * header.length), header, data);
            }
            case 2 -> {
                return Gradients.file(random.nextLong(), header, data);
            }
            default -> {}
        }
        byte[] file = Gradients.file(header, data);
        return random.nextInt(20) == 0 ? Arrays.copyOf(file, random.nextInt(file.length)) : file;
    }

    private static byte[] mutatedHeader(byte[] header, Random random) {
        int at = random.nextInt(header.length);
        int to = Math.min(header.length, at + 1 + random.nextInt(12));
        return switch (random.nextInt(6)) {
            case 0 -> {
                byte[] flipped = header.clone();
                flipped[at] ^= (byte) (1 << random.nextInt(8));
                yield flipped;
            }
            case 1 -> {
                byte[] replaced = header.clone();
                replaced[at] = (byte) random.nextInt();
                yield replaced;
            }
            case 2 -> spliced(header, at, to, new byte[0]);
            case 3 -> spliced(header, at, at, Arrays.copyOfRange(header, at, to));
            case 4 -> spliced(header, at, at, token(random));
            default -> digitsReplaced(header, at, random);
        };
    }

    private static byte[] token(Random random) {
        return TOKENS.get(random.nextInt(TOKENS.size())).getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] digitsReplaced(byte[] header, int from, Random random) {
        int at = from;
        while (at < header.length && !Character.isDigit(header[at])) at++;
        int to = at;
        while (to < header.length && Character.isDigit(header[to])) to++;
        if (at == header.length) return header;
        String number = String.valueOf(random.nextBoolean() ? random.nextInt(64) : random.nextLong());
        return spliced(header, at, to, number.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] spliced(byte[] header, int from, int to, byte[] inserted) {
        ByteArrayOutputStream result = new ByteArrayOutputStream();
        result.write(header, 0, from);
        result.writeBytes(inserted);
        result.write(header, to, header.length - to);
        return result.size() == 0 ? new byte[] {'{'} : result.toByteArray();
    }
}
