// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;

/** Images and their labels as frameworks take them. */
public final class Batch {
    private final float[] pixels;
    private final int[] labels;
    private final int rows;
    private final int columns;

    Batch(List<Example> examples) {
        float[][] first = examples.get(0).steps();
        rows = first.length;
        columns = first[0].length;
        pixels = new float[examples.size() * rows * columns];
        labels = new int[examples.size()];
        int at = 0;
        for (int i = 0; i < labels.length; i++) {
            labels[i] = examples.get(i).label();
            for (float[] row : examples.get(i).steps()) {
                System.arraycopy(row, 0, pixels, at, columns);
                at += columns;
            }
        }
    }

    /** The number of images. */
    public int size() {
        return labels.length;
    }

    /** The number of rows of each image. */
    public int rows() {
        return rows;
    }

    /** The number of columns of each image. */
    public int columns() {
        return columns;
    }

    /** 0 to 1, image after image, row after row; not a copy. */
    public float[] pixels() {
        return pixels;
    }

    /** From 0, one for each image; not a copy. */
    public int[] labels() {
        return labels;
    }
}
