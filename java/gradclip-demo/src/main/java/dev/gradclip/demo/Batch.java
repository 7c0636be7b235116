// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;

/**
 * Images and their labels as frameworks take them.
 *
 * @param rows of each image
 * @param columns of each image
 * @param pixels 0 to 1, image after image, row after row; not a copy
 * @param labels from 0, one for each image; not a copy
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record Batch(int rows, int columns, float[] pixels, int[] labels) {
    static Batch of(List<Example> examples) {
        float[][] first = examples.get(0).steps();
        int columns = first[0].length;
        float[] pixels = new float[examples.size() * first.length * columns];
        int[] labels = new int[examples.size()];
        int at = 0;
        for (int i = 0; i < labels.length; i++) {
            labels[i] = examples.get(i).label();
            for (float[] row : examples.get(i).steps()) {
                System.arraycopy(row, 0, pixels, at, columns);
                at += columns;
            }
        }
        return new Batch(first.length, columns, pixels, labels);
    }

    /** Returns the number of images. */
    public int size() {
        return labels.length;
    }
}
