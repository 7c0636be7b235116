// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPOutputStream;

/** Writes MNIST's four files, of small images whose pixels tell their label. */
public final class IdxFolder {
    private IdxFolder() {}

    public static void write(Path folder, int train, int test, int rows, int columns) throws IOException {
        part(folder, "train", train, rows, columns);
        part(folder, "t10k", test, rows, columns);
    }

    /** 0 to 255. */
    static int pixel(int label, int at) {
        return (label * 25 + at * 7) % 256;
    }

    private static void part(Path folder, String part, int count, int rows, int columns) throws IOException {
        ByteBuffer images = ByteBuffer.allocate(16 + count * rows * columns);
        images.putInt(0x803).putInt(count).putInt(rows).putInt(columns);
        ByteBuffer labels = ByteBuffer.allocate(8 + count);
        labels.putInt(0x801).putInt(count);
        for (int i = 0; i < count; i++) {
            labels.put((byte) (i % 10));
            for (int p = 0; p < rows * columns; p++) images.put((byte) pixel(i % 10, p));
        }
        Files.write(folder.resolve(part + "-images-idx3-ubyte"), images.array());
        Files.write(folder.resolve(part + "-labels-idx1-ubyte"), labels.array());
    }

    /** Turns the files into .gz files. */
    public static void pack(Path folder) throws IOException {
        for (String part : List.of("train", "t10k")) {
            for (String kind : List.of("-images-idx3-ubyte", "-labels-idx1-ubyte")) {
                Path plain = folder.resolve(part + kind);
                try (OutputStream out =
                        new GZIPOutputStream(Files.newOutputStream(folder.resolve(part + kind + ".gz")))) {
                    Files.copy(plain, out);
                }
                Files.delete(plain);
            }
        }
    }
}
