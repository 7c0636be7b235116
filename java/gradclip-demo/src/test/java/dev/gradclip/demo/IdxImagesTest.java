// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files of MNIST's format, sound and otherwise. */
class IdxImagesTest {
    private static final String TRAIN = "train-images-idx3-ubyte";

    @TempDir
    Path folder;

    @BeforeEach
    void sound() throws IOException {
        IdxFolder.write(folder, 40, 12, 5, 4);
    }

    private void refused(String... named) {
        BadImagesException e = assertThrows(BadImagesException.class, () -> IdxImages.load(folder, 1));
        for (String part : named)
            assertTrue(String.valueOf(e.getMessage()).contains(part), e.getMessage() + ": " + part);
    }

    private byte[] bytes(String name) throws IOException {
        return Files.readAllBytes(folder.resolve(name));
    }

    private void change(String name, int at, int value) throws IOException {
        byte[] bytes = bytes(name);
        bytes[at] = (byte) value;
        Files.write(folder.resolve(name), bytes);
    }

    @Test
    void readsPixelsAndLabels() throws IOException {
        ImageSet images = IdxImages.load(folder, 1);
        assertEquals(40, images.train().size());
        assertEquals(12, images.test().size());
        assertEquals(5, images.rows());
        assertEquals(4, images.columns());
        for (Example example : images.train()) {
            assertEquals(5, example.steps().length);
            for (int p = 0; p < 20; p++) {
                float expected = IdxFolder.pixel(example.label(), p) / 255f;
                assertEquals(expected, example.steps()[p / 4][p % 4], 0, "pixel " + p + " of a " + example.label());
            }
        }
    }

    @Test
    void gzipIsTheSame() throws IOException {
        ImageSet plain = IdxImages.load(folder, 1);
        IdxFolder.pack(folder);
        ImageSet packed = IdxImages.load(folder, 1);
        for (int i = 0; i < plain.train().size(); i++) {
            assertEquals(plain.train().get(i).label(), packed.train().get(i).label());
            assertTrue(Arrays.deepEquals(
                    plain.train().get(i).steps(), packed.train().get(i).steps()));
        }
    }

    @Test
    void truncated() throws IOException {
        for (String name : new String[] {TRAIN, "t10k-labels-idx1-ubyte"}) {
            byte[] whole = bytes(name);
            for (int length : new int[] {0, 3, 6, whole.length - 1}) {
                Files.write(folder.resolve(name), Arrays.copyOf(whole, length));
                refused(name, "truncated");
            }
            Files.write(folder.resolve(name), whole);
        }
    }

    @Test
    void truncatedGzip() throws IOException {
        IdxFolder.pack(folder);
        byte[] whole = bytes(TRAIN + ".gz");
        for (int length : new int[] {0, 5, whole.length / 2, whole.length - 1}) {
            Files.write(folder.resolve(TRAIN + ".gz"), Arrays.copyOf(whole, length));
            refused(TRAIN + ".gz", "truncated");
        }
        Files.write(folder.resolve(TRAIN + ".gz"), new byte[] {1, 2, 3, 4});
        refused(TRAIN + ".gz", "gzip");
    }

    @Test
    void damagedGzip() throws IOException {
        IdxFolder.pack(folder);
        for (String name : new String[] {TRAIN + ".gz", "t10k-labels-idx1-ubyte.gz"}) {
            byte[] whole = bytes(name);
            // The checksum, the length, and the elements themselves.
            for (int at : new int[] {whole.length - 8, whole.length - 1, whole.length / 2}) {
                change(name, at, ~whole[at]);
                refused(name);
                Files.write(folder.resolve(name), whole);
            }
        }
        IdxImages.load(folder, 1);
        Files.move(folder.resolve(TRAIN + ".gz"), folder.resolve(TRAIN));
        refused(TRAIN, "is a gzip file", "ends in .gz");
    }

    @Test
    void dotsInNames() throws IOException {
        for (String part : new String[] {"train", "t10k"}) {
            for (String kind : new String[] {"images-idx3-ubyte", "labels-idx1-ubyte"}) {
                String name = part + "-" + kind;
                Files.move(folder.resolve(name), folder.resolve(name.replace("-idx", ".idx")));
            }
        }
        assertEquals(40, IdxImages.load(folder, 1).train().size());
        change("t10k-labels.idx1-ubyte", 3, 3);
        refused("t10k-labels.idx1-ubyte", "00000803");
    }

    @Test
    void plainFilesGoBeforePackedOnes() throws IOException {
        Files.write(folder.resolve(TRAIN + ".gz"), new byte[] {1});
        assertEquals(40, IdxImages.load(folder, 1).train().size());
    }

    @Test
    void wrongMagic() throws IOException {
        // Floats, one dimension too many, and a text.
        change(TRAIN, 2, 0x0d);
        refused(TRAIN, "00000d03", "00000803", "no IDX file");
        change(TRAIN, 2, 8);
        change(TRAIN, 3, 4);
        refused(TRAIN, "00000804");
        Files.writeString(folder.resolve(TRAIN), "pixel,pixel,label");
        refused(TRAIN, "no IDX file");
        IdxFolder.write(folder, 40, 12, 5, 4);
        Files.copy(folder.resolve(TRAIN), replaced("train-labels-idx1-ubyte"));
        refused("train-labels-idx1-ubyte", "00000803", "00000801", "1 dimension");
    }

    @Test
    void sizesThatCannotBe() throws IOException {
        change(TRAIN, 4, 0x7f);
        refused(TRAIN, "more than");
        change(TRAIN, 4, 0xff);
        refused(TRAIN, "dimension 0 is -");
        IdxFolder.write(folder, 40, 12, 5, 4);
        change(TRAIN, 7, 41);
        refused(TRAIN, "truncated", "[41, 5, 4]");
        change(TRAIN, 7, 39);
        refused(TRAIN, "goes on");
        IdxFolder.write(folder, 2, 2, 65, 64);
        refused(TRAIN, "pixels");
    }

    @Test
    void filesThatDoNotFit() throws IOException {
        Path other = Files.createDirectory(folder.resolve("other"));
        IdxFolder.write(other, 39, 12, 4, 4);
        Files.copy(other.resolve("train-labels-idx1-ubyte"), replaced("train-labels-idx1-ubyte"));
        refused("train-labels", "39 labels for 40 images", TRAIN);
        IdxFolder.write(folder, 40, 12, 5, 4);
        IdxFolder.write(other, 39, 13, 4, 4);
        Files.copy(other.resolve("t10k-labels-idx1-ubyte"), replaced("t10k-labels-idx1-ubyte"));
        refused("t10k-labels", "13 labels for 12 images", "t10k-images");
        IdxFolder.write(folder, 40, 12, 5, 4);
        Files.copy(other.resolve("t10k-images-idx3-ubyte"), replaced("t10k-images-idx3-ubyte"));
        refused("t10k-images", "5 x 4");
        IdxFolder.write(folder, 40, 12, 5, 4);
        change("train-labels-idx1-ubyte", 8 + 3, 10);
        refused("train-labels", "label 3 is 10");
    }

    private Path replaced(String name) throws IOException {
        Files.delete(folder.resolve(name));
        return folder.resolve(name);
    }

    @Test
    void missing() throws IOException {
        Files.delete(folder.resolve("t10k-labels-idx1-ubyte"));
        refused("t10k-labels-idx1-ubyte", "neither", "four files");
        BadImagesException e =
                assertThrows(BadImagesException.class, () -> IdxImages.load(folder.resolve("nowhere"), 1));
        assertTrue(String.valueOf(e.getMessage()).contains("nowhere"), e::toString);
    }

    @Test
    void bundledDigits() throws IOException {
        ImageSet digits = Digits.load(1);
        assertEquals(1347, digits.train().size());
        assertEquals(450, digits.test().size());
        int[] counts = new int[10];
        float most = 0;
        for (Example example : digits.train()) {
            counts[example.label()]++;
            for (float[] row : example.steps()) for (float pixel : row) most = Math.max(most, pixel);
        }
        assertEquals(1, most);
        for (int count : counts) assertTrue(count > 100, Arrays.toString(counts));
        assertTrue(digits.train().stream().noneMatch(digits.test()::contains), "an image in both parts");
    }
}
