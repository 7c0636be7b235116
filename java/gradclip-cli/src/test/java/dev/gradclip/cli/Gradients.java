// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Writes safetensors files, right ones and wrong ones. */
public final class Gradients {
    private final List<String> entries = new ArrayList<>();
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();

    public Gradients metadata(String json) {
        entries.add("\"__metadata__\":" + json);
        return this;
    }

    public Gradients add(String name, String dtype, byte[] bytes, long... shape) {
        int begin = data.size();
        data.writeBytes(bytes);
        entries.add(entry(name, dtype, Arrays.toString(shape), begin, data.size()));
        return this;
    }

    public Gradients floats(String name, float... values) {
        return add(name, "F32", bytes(values), values.length);
    }

    public static String entry(String name, String dtype, String shape, long begin, long end) {
        return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" + begin + ","
                + end + "]}";
    }

    public static byte[] bytes(float... values) {
        ByteBuffer buffer = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) buffer.putFloat(value);
        return buffer.array();
    }

    public static byte[] bytes(double... values) {
        ByteBuffer buffer = ByteBuffer.allocate(8 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (double value : values) buffer.putDouble(value);
        return buffer.array();
    }

    public static byte[] bytes(short... values) {
        ByteBuffer buffer = ByteBuffer.allocate(2 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (short value : values) buffer.putShort(value);
        return buffer.array();
    }

    public byte[] build() {
        return file("{" + String.join(",", entries) + "}", data.toByteArray());
    }

    public Path write(Path path) {
        return write(path, build());
    }

    public static byte[] file(String header, byte[] data) {
        return file(header.getBytes(StandardCharsets.UTF_8), data);
    }

    public static byte[] file(byte[] header, byte[] data) {
        return file(header.length, header, data);
    }

    public static byte[] file(long length, byte[] header, byte[] data) {
        return ByteBuffer.allocate(8 + header.length + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(length)
                .put(header)
                .put(data)
                .array();
    }

    public static Path write(Path path, byte[] bytes) {
        try {
            return Files.write(path, bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A valid file of one F32 tensor of zeros, which takes no room on disk. */
    public static Path sparse(Path path, long elements) throws IOException {
        byte[] header =
                ("{" + entry("w", "F32", "[" + elements + "]", 0, 4 * elements) + "}").getBytes(StandardCharsets.UTF_8);
        Files.write(path, file(header, new byte[0]));
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(8 + header.length + 4 * elements);
        }
        return path;
    }

    public static float[] floatsOf(byte[] file, int offset, int count) {
        float[] result = new float[count];
        ByteBuffer.wrap(file, offset, 4 * count)
                .slice()
                .order(ByteOrder.LITTLE_ENDIAN)
                .asFloatBuffer()
                .get(result);
        return result;
    }

    /** Returns the position at which the tensors of a file begin. */
    public static int dataStart(byte[] file) {
        return 8 + (int) ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    }
}
