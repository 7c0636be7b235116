// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.zip.GZIPInputStream;

/** The digits that come with the module: 1797 of 8 x 8 pixels, 0 to 16. */
public final class Digits {
    /** The credit, to be given wherever the digits are shown or passed on. */
    public static final String CREDIT =
            "UCI Optical Recognition of Handwritten Digits, test part (E. Alpaydin, C. Kaynak, 1998), CC BY 4.0";

    private static final int SIDE = 8;
    private static final float WHITE = 16;
    private static final int TEST = 450;

    private Digits() {}

    /** Reads the digits; a quarter is kept for the test, another one for each seed. */
    static ImageSet load(long seed) throws IOException {
        List<Example> all = read();
        Collections.shuffle(all, new Random(seed));
        return new ImageSet(CREDIT, SIDE, SIDE, 10, all.subList(TEST, all.size()), all.subList(0, TEST));
    }

    private static List<Example> read() throws IOException {
        List<Example> all = new ArrayList<>();
        InputStream file = Digits.class.getResourceAsStream("digits.csv.gz");
        if (file == null) throw new IllegalStateException("digits.csv.gz is missing from the jar");
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(new GZIPInputStream(file), StandardCharsets.US_ASCII))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) all.add(example(line));
        }
        return all;
    }

    private static Example example(String line) {
        String[] fields = line.split(",", -1);
        float[][] rows = new float[SIDE][SIDE];
        for (int p = 0; p < SIDE * SIDE; p++) rows[p / SIDE][p % SIDE] = Integer.parseInt(fields[p]) / WHITE;
        return new Example(rows, Integer.parseInt(fields[SIDE * SIDE]));
    }
}
