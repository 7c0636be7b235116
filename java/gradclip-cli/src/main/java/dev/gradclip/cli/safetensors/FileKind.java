// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A kind of file that is no safetensors file, told by how it begins.
 *
 * @param beginning fits the head of such a file, a character for each byte
 * @param what it looks like
 * @param remedy what to do
 */
record FileKind(Pattern beginning, String what, String remedy) {
    /** The number of bytes looked at: the first name in a zip archive, the first keys of a text. */
    static final int HEAD = 1024;

    private static final String PICKLED = "PyTorch converts it: safetensors.torch.save_file(torch.load('FILE',"
            + " weights_only=True), 'NEW'), where that is a flat dict of tensors";
    private static final String ARRAYS =
            "NumPy converts it: safetensors.numpy.save_file(arrays, 'NEW'), a dict by name";
    private static final String SOURCE = "take the safetensors files that it was made of";
    private static final String PAGE = "a download gave a page instead of the file: read it, and download again";
    private static final String UNPACK = "unpack it first";

    /** The known kinds, of which the first that fits counts. */
    private static final List<FileKind> KINDS = List.of(
            kind(
                    "version https://git-lfs\\.github\\.com/spec/",
                    "a Git LFS pointer, which stands for the file",
                    "'git lfs pull' fetches the file itself"),
            kind("PK\\x03\\x04.*data\\.pkl", "a PyTorch file (.pt, .pth or .bin)", PICKLED),
            kind("PK\\x03\\x04.*\\.npy", "NumPy's arrays (.npz)", ARRAYS),
            kind("PK[\\x03\\x05\\x07]", "a zip archive", UNPACK),
            kind("\\x80[\\x02-\\x05][^\\x00]", "a pickle, as older PyTorch files are (.pt, .pth or .bin)", PICKLED),
            kind("\\x93NUMPY", "a NumPy array (.npy)", ARRAYS),
            kind("GGUF", "a GGUF file of llama.cpp", SOURCE),
            kind("(lm|fm|tj|al)gg", "a GGML file of llama.cpp", SOURCE),
            kind("\\x89HDF\\r\\n", "an HDF5 file (.h5), as Keras writes", "h5py reads it; " + ARRAYS),
            kind(".{4}TFL3", "a TensorFlow Lite model", "it holds no gradients"),
            kind("\\x08[\\x01-\\x20]\\x12[\\x01-\\x40][ -~]{3}", "an ONNX model", "it holds no gradients"),
            kind("PAR1", "a Parquet table", "write its columns as tensors"),
            kind("ARROW1", "an Arrow table", "write its columns as tensors"),
            kind("\\x1f\\x8b\\x08", "compressed by gzip", "gunzip it first"),
            kind("\\xfd7zXZ\\x00", "compressed by xz", "unxz it first"),
            kind("\\x28\\xb5\\x2f\\xfd", "compressed by Zstandard", "unzstd it first"),
            kind("BZh[1-9]", "compressed by bzip2", "bunzip2 it first"),
            kind("\\x04\"M\\x18", "compressed by LZ4", "unlz4 it first"),
            kind("7z\\xbc\\xaf\\x27\\x1c", "a 7-Zip archive", UNPACK),
            kind(".{257}ustar", "a tar archive", UNPACK),
            kind("(\\xef\\xbb\\xbf)?\\s*(?i:<!doctype html|<html|<head|<\\?xml)", "a web page (HTML or XML)", PAGE),
            kind(
                    "(\\xef\\xbb\\xbf)?\\s*\\{.*\"weight_map\"",
                    "the index of a model in several files (model.safetensors.index.json)",
                    "take the safetensors files that it names, one after the other"),
            kind(
                    "(\\xef\\xbb\\xbf)?\\s*[{\\[]\\s*[\"{}\\]]",
                    "a JSON text",
                    "take the safetensors file that it belongs to"),
            kind("\\x00{64}", "zeros, as a download or a copy that was cut off leaves them", "fetch it again"));

    private static FileKind kind(String beginning, String what, String remedy) {
        return new FileKind(Pattern.compile(beginning, Pattern.DOTALL), what, remedy);
    }

    /** Returns the kind that a file begins like, or null. */
    static @Nullable FileKind of(byte[] head) {
        String text = new String(head, StandardCharsets.ISO_8859_1);
        for (FileKind kind : KINDS) if (kind.beginning.matcher(text).lookingAt()) return kind;
        return null;
    }

    String advice() {
        return "this is no safetensors file, but looks like " + what + "; " + remedy;
    }
}
