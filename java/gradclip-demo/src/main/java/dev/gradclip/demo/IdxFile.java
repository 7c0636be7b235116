// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/**
 * An IDX file of unsigned bytes, as MNIST's are: 0, 0, type 8, the number of dimensions, each dimension as four bytes,
 * the highest first, then the elements.
 *
 * @param path of the file, for messages
 * @param shape its dimensions
 * @param data its elements
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record IdxFile(Path path, int[] shape, byte[] data) {
    private static final int UNSIGNED_BYTE = 8;

    /** The first two bytes of a gzip file. */
    private static final int GZIP = 0x1f8b;

    /** The most bytes of elements, 1 GiB; MNIST's largest file has 47 MB. */
    private static final long MOST_BYTES = 1 << 30;

    /**
     * Reads a file, or one with {@code .gz} behind its name; some copies of MNIST write {@code .idx} for {@code -idx}.
     *
     * @throws BadImagesException if neither is there, or it is not what it should be
     */
    static IdxFile read(Path folder, String name, int dimensions) throws IOException {
        for (String spelled : List.of(name, name.replace("-idx", ".idx"))) {
            Path plain = folder.resolve(spelled);
            Path packed = folder.resolve(spelled + ".gz");
            if (Files.isRegularFile(plain)) return read(plain, Files.newInputStream(plain), false, dimensions);
            if (Files.isRegularFile(packed)) return read(packed, Files.newInputStream(packed), true, dimensions);
        }
        throw new BadImagesException(folder + ": holds neither " + name + " nor " + name
                + ".gz; --data takes a folder with MNIST's four files");
    }

    private static IdxFile read(Path path, InputStream file, boolean packed, int dimensions) throws IOException {
        try (file;
                DataInputStream in =
                        new DataInputStream(new BufferedInputStream(packed ? new GZIPInputStream(file) : file))) {
            int[] shape = shape(path, in, dimensions);
            long size = 1;
            for (int length : shape) size = Math.multiplyExact(size, (long) length);
            byte[] data = in.readNBytes((int) size);
            if (data.length < size) {
                throw new BadImagesException(path + ": is truncated: " + Arrays.toString(shape) + " needs " + size
                        + " bytes, but there are " + data.length);
            }
            if (in.read() >= 0) throw new BadImagesException(path + ": goes on after " + size + " bytes of elements");
            return new IdxFile(path, shape, data);
        } catch (EOFException e) {
            throw new BadImagesException(path + ": is truncated");
        } catch (ZipException e) {
            throw new BadImagesException(path + ": is not a sound gzip file: " + e.getMessage());
        }
    }

    private static int[] shape(Path path, DataInputStream in, int dimensions) throws IOException {
        int magic = in.readInt();
        int expected = UNSIGNED_BYTE << 8 | dimensions;
        if (magic >>> 16 == GZIP)
            throw new BadImagesException(path + ": is a gzip file; give it a name that ends in .gz");
        if (magic != expected) {
            throw new BadImagesException(String.format(
                    "%s: begins with %08x instead of %08x, so it is no IDX file of unsigned bytes in %d dimension%s",
                    path, magic, expected, dimensions, dimensions == 1 ? "" : "s"));
        }
        int[] shape = new int[dimensions];
        long size = 1;
        for (int d = 0; d < dimensions; d++) {
            shape[d] = in.readInt();
            if (shape[d] < 1) throw new BadImagesException(path + ": dimension " + d + " is " + shape[d]);
            size *= shape[d];
            if (size > MOST_BYTES) {
                throw new BadImagesException(path + ": says it holds more than " + MOST_BYTES + " elements");
            }
        }
        return shape;
    }
}
