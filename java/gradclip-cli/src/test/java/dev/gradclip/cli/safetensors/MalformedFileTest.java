// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.ExitCode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Each way in which a file can be wrong: refused in at most three lines that name the tensor, nothing written. */
class MalformedFileTest {
    private static final byte[] EIGHT_BYTES = new byte[8];

    @TempDir
    Path folder;

    @AfterEach
    void nothingIsWritten() throws IOException {
        try (var files = Files.list(folder)) {
            assertEquals(0, files.filter(f -> !f.endsWith("in")).count());
        }
    }

    /** Neither the JSON parser's classes nor its settings mean anything to a user. */
    private static void assertPlain(Outcome outcome) {
        for (String word :
                new String[] {"Stream", "JsonRead", "REDACTED", "Feature", "token", "CTRL-CHAR", "jackson"}) {
            assertFalse(outcome.err().contains(word), outcome::err);
        }
    }

    private void refused(byte[] file, String... named) {
        Path in = Gradients.write(folder.resolve("in"), file);
        Path out = folder.resolve("out");
        Outcome.of("clip", in, "-o", out, "--max-norm", "1").refused(ExitCode.USAGE, named);
        assertPlain(Outcome.of("inspect", in).refused(ExitCode.USAGE, named));
        assertFalse(Files.exists(out));
    }

    private void headerRefused(String header, String... named) {
        refused(Gradients.file(header, EIGHT_BYTES), named);
    }

    @Test
    void empty() {
        refused(new byte[0], "in: ", "empty");
    }

    @Test
    void shorterThanTheHeadersLength() {
        refused(new byte[7], "7 bytes");
    }

    @Test
    void truncatedInTheHeader() {
        byte[] file = new Gradients().floats("a", 1, 2).build();
        refused(Arrays.copyOf(file, 20), "truncated");
    }

    @Test
    void truncatedInATensor() {
        byte[] file = new Gradients().floats("a", 1, 2).floats("b.weight", 3, 4).build();
        refused(Arrays.copyOf(file, file.length - 1), "tensor 'b.weight'", "[8, 16]", "15 bytes", "truncated");
    }

    @Test
    void headerLengthLies() {
        byte[] header = "{}".getBytes(StandardCharsets.UTF_8);
        refused(Gradients.file(50, header, EIGHT_BYTES), "length is 50", "only 10 bytes");
        refused(Gradients.file(1, header, EIGHT_BYTES), "not JSON");
        refused(Gradients.file(0, header, EIGHT_BYTES), "does not begin with '{'");
    }

    @Test
    void headerAbove100MillionBytes() throws IOException {
        Path in = Gradients.write(folder.resolve("in"), Gradients.file(100_000_001L, new byte[] {'{'}, new byte[0]));
        try (RandomAccessFile file = new RandomAccessFile(in.toFile(), "rw")) {
            file.setLength(200_000_000);
        }
        Outcome.of("inspect", in).refused(ExitCode.USAGE, "100000001", "limit of 100000000");
    }

    @Test
    void headerLengthAbove63Bits() {
        refused(Gradients.file(-1, "{}".getBytes(StandardCharsets.UTF_8), EIGHT_BYTES), "18446744073709551615");
    }

    @Test
    void overlap() {
        headerRefused(
                "{" + Gradients.entry("a", "F32", "[2]", 0, 8) + "," + Gradients.entry("b", "F32", "[1]", 4, 8) + "}",
                "tensor 'b'",
                "overlap 'a'",
                "ends at 8");
    }

    /** To the byte: one too few or too many between two tensors is a fault, none is not. */
    @ParameterizedTest
    @ValueSource(ints = {-1, 0, 1})
    void oneByteBetweenTensors(int gap) throws IOException {
        String entries =
                Gradients.entry("a", "F32", "[2]", 0, 8) + "," + Gradients.entry("b", "U8", "[3]", 8 + gap, 11 + gap);
        byte[] file = Gradients.file("{" + entries + "}", new byte[11 + gap]);
        if (gap < 0) refused(file, "tensor 'b'", "overlap 'a'", "ends at 8");
        else if (gap > 0) refused(file, "tensor 'b'", "leave a hole of 1 bytes after 'a'");
        else Outcome.of("inspect", Gradients.write(folder.resolve("in"), file)).expect(ExitCode.DONE);
    }

    @Test
    void sameRangeTwice() {
        headerRefused(
                "{" + Gradients.entry("a", "F32", "[2]", 0, 8) + "," + Gradients.entry("b", "F32", "[2]", 0, 8) + "}",
                "tensor 'b'",
                "overlap 'a'");
    }

    @Test
    void offsetsOutOfRange() {
        headerRefused(
                "{" + Gradients.entry("a", "F32", "[3]", 0, 12) + "}", "tensor 'a'", "[0, 12]", "8 bytes of data");
    }

    @Test
    void offsetsEndBeforeTheyBegin() {
        headerRefused("{" + Gradients.entry("a", "F32", "[2]", 8, 0) + "}", "tensor 'a'", "before they begin");
    }

    @ParameterizedTest
    @ValueSource(strings = {"9223372036854775808", "18446744073709551616", "99999999999999999999999999"})
    void offsetsOverflow(String offset) {
        headerRefused(
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0," + offset + "]}}", "tensor 'a'", offset);
    }

    @Test
    void integerOfAThousandDigits() {
        headerRefused(
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[" + "9".repeat(5000) + "],\"data_offsets\":[0,8]}}",
                "tensor 'a'");
    }

    @ParameterizedTest
    @ValueSource(strings = {"[4611686018427387904,4]", "[9223372036854775807]", "[2147483648,2147483648,4]"})
    void shapeOverflows(String shape) {
        headerRefused("{" + Gradients.entry("a", "F32", shape, 0, 8) + "}", "tensor 'a'", "more than 2^63 bits");
    }

    @Test
    void shapeContradictsOffsets() {
        headerRefused(
                "{" + Gradients.entry("a", "F32", "[3, 4]", 0, 8) + "}", "tensor 'a'", "[3, 4]", "48 bytes", "hold 8");
    }

    @Test
    void hole() {
        headerRefused(
                "{" + Gradients.entry("a", "F32", "[1]", 0, 4) + "," + Gradients.entry("b", "F16", "[1]", 6, 8) + "}",
                "tensor 'b'",
                "hole of 2 bytes after 'a'");
    }

    @Test
    void holeAtTheStart() {
        headerRefused("{" + Gradients.entry("a", "F32", "[1]", 4, 8) + "}", "tensor 'a'", "hole of 4 bytes");
    }

    @Test
    void trailingBytes() {
        headerRefused("{" + Gradients.entry("a", "F32", "[1]", 0, 4) + "}", "4 bytes follow 'a'");
        headerRefused("{}", "8 bytes follow the start");
    }

    @Test
    void unknownDtype() {
        headerRefused(
                "{" + Gradients.entry("a", "F33", "[2]", 0, 8) + "}", "tensor 'a'", "unknown dtype 'F33'", "BF16");
    }

    @Test
    void duplicateName() {
        headerRefused(
                "{" + Gradients.entry("a", "F32", "[1]", 0, 4) + "," + Gradients.entry("a", "F32", "[1]", 4, 8) + "}",
                "duplicate tensor 'a'");
    }

    @Test
    void duplicateKeyOfATensor() {
        headerRefused(
                "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
                "tensor 'a'",
                "duplicate key 'dtype'");
    }

    @Test
    void duplicateMetadata() {
        headerRefused("{\"__metadata__\":{},\"__metadata__\":{}}", "duplicate", "__metadata__");
        headerRefused("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", "__metadata__", "duplicate key 'k'");
    }

    @Test
    void plainReasonsOfWhatIsNoJson() {
        headerRefused(
                "{\"a\":{\"dtype\":NaN}}", "in: tensor 'a': the header is not JSON at character 18, in '", ":NaN}}'");
        headerRefused("{\"a\"}", "not JSON at character 5, in '{\"a\"}'");
        headerRefused("{\"é\\q\":1}", "not JSON at character 5, in '{\"é\\q\":1}'");
        headerRefused("{\"a\u001bb\":1}", "not JSON at character 4, in '{\"a\\u001bb\":1}'");
        headerRefused("{\"a\":{", "not JSON: it ends too soon");
        headerRefused(
                "{\"" + "n".repeat(1000) + "\":{\"dtype\":01}}", "at character 1015, in '", "\":{\"dtype\":01}}'");
        headerRefused("{\"a\":{\"dtype\":" + "[".repeat(20), "tensor 'a'", "dtype must be a string");
        headerRefused(
                "{\"a\":{\"shape\":[" + "1".repeat(5000) + "]}}", "an integer of the header has more than 1000 digits");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"[]", "{", "{]", "{\"a\"}", "{\"a\":}", "{}}", "{},", "{} {}", "{'a':1}", "{\"a\":{\"dtype\""})
    void notJson(String header) {
        headerRefused(header, "in: ");
    }

    @Test
    void notJsonNamesTheTensor() {
        headerRefused(
                "{\"a.bias\":{\"dtype\":\"F32\",\"shape\":[2,],\"data_offsets\":[0,8]}}", "tensor 'a.bias'", "JSON");
    }

    @Test
    void notUtf8() {
        byte[] header = "{\"??\":{}}".getBytes(StandardCharsets.UTF_8);
        for (int[] pair : new int[][] {{0xff, 0xfe}, {0xc0, 0xaf}, {0xed, 0xa0}, {0x80, 0x80}, {0xf5, 0x80}}) {
            header[2] = (byte) pair[0];
            header[3] = (byte) pair[1];
            refused(Gradients.file(header, EIGHT_BYTES), "UTF-8");
        }
        refused(Gradients.file("{}".getBytes(StandardCharsets.UTF_16LE), new byte[0]), "JSON");
    }

    @Test
    void halfASurrogatePair() {
        headerRefused("{\"\\ud800\":{}}", "not Unicode");
        headerRefused("{\"__metadata__\":{\"k\":\"\\udc00\"}}", "not Unicode");
    }

    @Test
    void absurdlyNested() {
        headerRefused("{\"a\":" + "[".repeat(100_000) + "]".repeat(100_000) + "}", "tensor 'a'");
        headerRefused("{\"a\":" + "{\"a\":".repeat(100_000) + "}".repeat(100_000) + "}", "tensor 'a'");
        headerRefused("[".repeat(100_000), "{");
        headerRefused(
                "{\"a\":{\"dtype\":\"F32\",\"shape\":" + "[".repeat(5000) + "]".repeat(5000)
                        + ",\"data_offsets\":[0,8]}}",
                "tensor 'a'",
                "shape");
    }

    @ParameterizedTest
    @ValueSource(strings = {"-1", "-0", "1.0", "1e3", "\"2\"", "null", "true", "[2]", "{}"})
    void shapesHoldNonNegativeIntegersOnly(String dimension) {
        headerRefused("{" + Gradients.entry("a", "F32", "[" + dimension + "]", 0, 8) + "}", "tensor 'a'", "shape");
        headerRefused(
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[" + dimension + ",8]}}",
                "tensor 'a'",
                "data_offsets");
    }

    @ParameterizedTest
    @ValueSource(strings = {"[]", "[0]", "[0,4,8]"})
    void offsetsAreTwo(String offsets) {
        headerRefused(
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" + offsets + "}}", "tensor 'a'", "two");
    }

    @Test
    void missingAndUnknownKeys() {
        headerRefused("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "tensor 'a'", "no dtype");
        headerRefused("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", "tensor 'a'", "no shape");
        headerRefused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "tensor 'a'", "no data_offsets");
        headerRefused(
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"strides\":[1]}}",
                "tensor 'a'",
                "unknown key 'strides'");
        headerRefused("{\"a\":3}", "tensor 'a'", "must be an object");
        headerRefused("{\"a\":{\"dtype\":3,\"shape\":[2],\"data_offsets\":[0,8]}}", "tensor 'a'", "dtype must be");
    }

    @Test
    void metadataIsAMapOfStrings() {
        headerRefused("{\"__metadata__\":{\"k\":1}}", "'__metadata__'", "'k' must be a string");
        headerRefused("{\"__metadata__\":{\"k\":{\"l\":\"m\"}}}", "'__metadata__'", "'k' must be a string");
        headerRefused("{\"__metadata__\":null}", "'__metadata__'", "map of strings");
        headerRefused("{\"__metadata__\":[\"k\"]}", "'__metadata__'", "map of strings");
    }

    @Test
    void partsOfBytes() {
        headerRefused("{" + Gradients.entry("a", "F4", "[15]", 0, 8) + "}", "tensor 'a'", "whole bytes");
    }

    @Test
    void namesCannotSteerATerminalOrFillTheScreen() {
        headerRefused("{\"a\\n\\u001b[2Jb\":{}}", "'a\\u000a\\u001b[2Jb'");
        headerRefused("{\"x" + "y".repeat(1_000_000) + "z\":{}}", "'xyy", "yyz'", "…");
    }

    @Test
    void aDirectory() {
        Outcome.of("inspect", folder).refused(ExitCode.USAGE, "is a directory");
        Outcome.of("clip", folder, "-o", folder.resolve("out"), "--max-norm", "1")
                .refused(ExitCode.USAGE, "is a directory");
    }

    @Test
    void notThere() {
        Outcome.of("inspect", folder.resolve("none")).refused(ExitCode.USAGE, "none", "no such file");
    }

    @Test
    void notARegularFile() {
        Outcome.of("inspect", "/dev/null").refused(ExitCode.USAGE, "/dev/null", "not a regular file");
    }
}
