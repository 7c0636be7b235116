// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Tensors to clip, by name: {@code 500x1024} is 500 tensors of 1024 elements. */
public final class Workload {
    /** Names that are not of the form {@code COUNTxLENGTH}. */
    public static final List<String> NAMED = List.of("resnet50", "gpt2");

    private final String name;
    private final int[] lengths;

    private Workload(String name, int[] lengths) {
        this.name = name;
        this.lengths = lengths;
    }

    /** As it is asked for. */
    public String name() {
        return name;
    }

    /** Elements of each tensor. */
    public int[] lengths() {
        return lengths.clone();
    }

    /**
     * Finds one.
     *
     * @throws IllegalArgumentException if there is none of that name
     */
    public static Workload of(String name) {
        if (name.equals("resnet50")) return new Workload(name, resNet50());
        if (name.equals("gpt2")) return new Workload(name, gpt2());
        String[] parts = name.split("x", 2);
        if (parts.length != 2 || !(parts[0] + parts[1]).matches("[0-9]+")) {
            throw new IllegalArgumentException("no workload '" + name + "'; name COUNTxLENGTH or one of " + NAMED);
        }
        int[] lengths = new int[Integer.parseInt(parts[0])];
        Arrays.fill(lengths, Integer.parseInt(parts[1]));
        return new Workload(name, lengths);
    }

    /** Elements all told. */
    public long elements() {
        return Arrays.stream(lengths).asLongStream().sum();
    }

    /** The 161 parameters of ResNet-50 (He et al. 2015, arXiv 1512.03385): 25,557,032. */
    private static int[] resNet50() {
        List<Integer> lengths = new ArrayList<>();
        convolution(lengths, 3, 64, 7);
        int in = 64;
        int[] blocks = {3, 4, 6, 3};
        for (int stage = 0; stage < blocks.length; stage++) {
            int width = 64 << stage;
            for (int block = 0; block < blocks[stage]; block++) {
                convolution(lengths, in, width, 1);
                convolution(lengths, width, width, 3);
                convolution(lengths, width, 4 * width, 1);
                if (block == 0) convolution(lengths, in, 4 * width, 1);
                in = 4 * width;
            }
        }
        lengths.add(in * 1000);
        lengths.add(1000);
        return lengths.stream().mapToInt(Integer::intValue).toArray();
    }

    /** With the two parameters of the batch normalisation behind it. */
    private static void convolution(List<Integer> lengths, int in, int out, int kernel) {
        lengths.addAll(List.of(in * out * kernel * kernel, out, out));
    }

    /** The 148 parameters of GPT-2 (Radford et al. 2019), its smallest: 124,439,808. */
    private static int[] gpt2() {
        int width = 768;
        List<Integer> lengths = new ArrayList<>(List.of(50_257 * width, 1024 * width));
        for (int layer = 0; layer < 12; layer++) {
            lengths.addAll(List.of(
                    width,
                    width,
                    width * 3 * width,
                    3 * width,
                    width * width,
                    width,
                    width,
                    width,
                    width * 4 * width,
                    4 * width,
                    4 * width * width,
                    width));
        }
        lengths.addAll(List.of(width, width));
        return lengths.stream().mapToInt(Integer::intValue).toArray();
    }
}
