// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** Reads MNIST, Fashion-MNIST or another set that comes as their four IDX files. */
final class IdxImages {
    private static final int CLASSES = 10;
    private static final float WHITE = 255;

    /** The most images to learn from: training and testing take the time of a demo. */
    private static final int MOST_TRAIN = 6000;

    private static final int MOST_TEST = 1000;

    /** The most pixels of an image, beyond which a demo takes too long. */
    private static final int MOST_PIXELS = 64 * 64;

    private IdxImages() {}

    /** @throws BadImagesException if a file is missing or is not what it should be */
    static ImageSet load(Path folder, long seed) throws IOException {
        Random random = new Random(seed);
        IdxFile images = images(folder, "train");
        int rows = images.shape()[1];
        int columns = images.shape()[2];
        List<Example> train = examples(images, labels(folder, "train", images), random, MOST_TRAIN);
        IdxFile testImages = images(folder, "t10k");
        if (testImages.shape()[1] != rows || testImages.shape()[2] != columns) {
            throw new BadImagesException(testImages.path() + ": its images are not of " + rows + " x " + columns
                    + " pixels, as those of " + images.path() + " are");
        }
        List<Example> test = examples(testImages, labels(folder, "t10k", testImages), random, MOST_TEST);
        return new ImageSet(folder.toString(), rows, columns, CLASSES, train, test);
    }

    private static IdxFile images(Path folder, String part) throws IOException {
        IdxFile images = IdxFile.read(folder, part + "-images-idx3-ubyte", 3);
        if ((long) images.shape()[1] * images.shape()[2] > MOST_PIXELS) {
            throw new BadImagesException(images.path() + ": its images have more than " + MOST_PIXELS + " pixels");
        }
        return images;
    }

    private static IdxFile labels(Path folder, String part, IdxFile images) throws IOException {
        IdxFile labels = IdxFile.read(folder, part + "-labels-idx1-ubyte", 1);
        if (labels.shape()[0] != images.shape()[0]) {
            throw new BadImagesException(labels.path() + ": holds " + labels.shape()[0] + " labels for "
                    + images.shape()[0] + " images in " + images.path());
        }
        return labels;
    }

    private static List<Example> examples(IdxFile images, IdxFile labels, Random random, int most)
            throws BadImagesException {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < images.shape()[0]; i++) order.add(i);
        Collections.shuffle(order, random);
        List<Example> examples = new ArrayList<>();
        for (int i : order.subList(0, Math.min(most, order.size()))) {
            int label = labels.data()[i];
            if (label < 0 || label >= CLASSES) {
                throw new BadImagesException(labels.path() + ": label " + i + " is " + (label & 0xff) + ", not 0 to 9");
            }
            examples.add(new Example(pixels(images, i), label));
        }
        return examples;
    }

    private static float[][] pixels(IdxFile images, int image) {
        float[][] rows = new float[images.shape()[1]][images.shape()[2]];
        int at = image * rows.length * rows[0].length;
        for (float[] row : rows) {
            for (int j = 0; j < row.length; j++) row[j] = (images.data()[at++] & 0xff) / WHITE;
        }
        return rows;
    }
}
