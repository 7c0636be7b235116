// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.gradclip.cli.shell.ExitCode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Files that are no safetensors files: the message says what they look like, and what to do. */
class OtherFilesTest {
    private static final String POINTER =
            "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0".repeat(64) + "\nsize 497774208\n";

    @TempDir
    Path folder;

    private void refused(byte[] bytes, String... named) throws IOException {
        Path in = Gradients.write(folder.resolve("in"), bytes);
        String[] all = Arrays.copyOf(named, named.length + 1);
        all[named.length] = in + ": this is no safetensors file, but looks like ";
        Outcome.of("inspect", in).refused(ExitCode.USAGE, all);
        Outcome.of("clip", in, "-o", in, "--max-norm", "1").refused(ExitCode.USAGE, all);
        assertArrayEquals(bytes, Files.readAllBytes(in));
    }

    private static byte[] latin(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static byte[] zip(String first) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            zip.putNextEntry(new ZipEntry(first));
            zip.write(new byte[100]);
        }
        return bytes.toByteArray();
    }

    @Test
    void gitLfsPointer() throws IOException {
        refused(latin(POINTER), "a Git LFS pointer", "'git lfs pull' fetches the file itself");
    }

    @Test
    void pyTorch() throws IOException {
        refused(zip("archive/data.pkl"), "a PyTorch file", "safetensors.torch.save_file(torch.load(");
        refused(
                latin("\u0080\2\u008a\nl\u00fc\u009cF\u00f9 j\u00a8P\u0019.\u0080\2M\u00e9\3."),
                "a pickle",
                "torch.load(");
        refused(latin("\u0080\4\u0095\30\0\0\0\0\0\0\0}\u0094"), "a pickle");
    }

    @Test
    void numPyAndZip() throws IOException {
        refused(zip("weight.npy"), "NumPy's arrays (.npz)", "safetensors.numpy.save_file");
        refused(latin("\u0093NUMPY\1\0v\0{'descr': '<f4', 'fortran_order': False"), "a NumPy array (.npy)");
        refused(zip("readme.txt"), "a zip archive", "unpack it first");
    }

    @Test
    void gzip() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream gzip = new GZIPOutputStream(bytes)) {
            gzip.write(new Gradients().floats("a", 1).build());
        }
        refused(bytes.toByteArray(), "compressed by gzip", "gunzip it first");
    }

    @ParameterizedTest
    @CsvSource({
        "GGUF\\3\\0\\0\\0\\1\\0\\0\\0, a GGUF file",
        "lmgg\\0}\\0\\0\\0\\20\\0\\0, a GGML file",
        "tjgg\\3\\0\\0\\0\\0}\\0\\0, a GGML file",
        "\\211HDF\\r\\n\\032\\n\\0\\0\\0\\0, an HDF5 file",
        "\\34\\0\\0\\0TFL3\\24\\0, a TensorFlow Lite model",
        "\\b\\7\\22\\7pytorch\\32\\0052.1.0, an ONNX model",
        "PAR1\\25\\4\\25\\20\\25\\24L, a Parquet table",
        "ARROW1\\0\\0\\20\\0, an Arrow table",
        "\\3757zXZ\\0\\0\\4\\346\\326, compressed by xz",
        "(\\265/\\375\\4X\\1\\0\\0, compressed by Zstandard",
        "BZh91AY&SY\\1, compressed by bzip2",
        "\\4\"M\\30d@\\247\\0, compressed by LZ4",
        "7z\\274\\257'\\34\\0\\4\\0\\0, a 7-Zip archive",
        "<!DOCTYPE html><html lang=en>, a web page",
        "\\n  <html>\\n<head>, a web page",
        "<?xml version='1.0'?><Error>, a web page",
        "'{\"metadata\": {\"total_size\": 1}, \"weight_map\": {}}', the index of a model in several files",
        "'{\\n  \"architectures\": [\"GPT2LMHeadModel\"]', a JSON text",
        "{}, a JSON text",
        "'[{\"name\": 1}]', a JSON text"
    })
    void byItsBeginning(String escaped, String what) throws IOException {
        refused(latin(escaped.translateEscapes()), what);
    }

    @Test
    void tarAndZeros() throws IOException {
        byte[] tar = new byte[1024];
        System.arraycopy(latin("model.safetensors"), 0, tar, 0, 17);
        System.arraycopy(latin("ustar"), 0, tar, 257, 5);
        refused(tar, "a tar archive");
        refused(new byte[4096], "zeros, as a download or a copy that was cut off leaves them");
    }

    /** A header may have any length, so a file that begins as it should is never taken for another. */
    @Test
    void aHeaderOfAnyLengthIsAHeader() throws IOException {
        for (String mark : new String[] {"\u0080\2", "{\"", "\u001f\u008b\b", "PK\3\4"}) {
            byte[] length = Arrays.copyOf(latin(mark), 8);
            int bytes = 0;
            for (int i = 3; i >= 0; i--) bytes = (bytes << 8) | (length[i] & 0xff);
            byte[] good = new Gradients().floats("a", 3).build();
            byte[] cut = Arrays.copyOf(length, good.length);
            System.arraycopy(good, 8, cut, 8, good.length - 8);
            Path in = Gradients.write(folder.resolve("in"), cut);
            Outcome.of("inspect", in).refused(ExitCode.USAGE, "length is " + bytes + ", but only", "truncated");
        }
        String header = "{" + Gradients.entry("a", "F32", "[1]", 0, 4) + "}";
        header += " ".repeat(0x280 - header.length());
        Path in = Gradients.write(folder.resolve("in"), Gradients.file(header, Gradients.bytes(3f)));
        assertEquals((byte) 0x80, Files.readAllBytes(in)[0], "as a pickle begins");
        Outcome.of("inspect", in).expect(ExitCode.DONE);
    }
}
