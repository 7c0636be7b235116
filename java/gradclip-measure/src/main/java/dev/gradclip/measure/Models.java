// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import dev.gradclip.DType;
import java.util.ArrayList;
import java.util.List;

/** The parameters of real models, as lengths, in the order in which they are declared. */
final class Models {
    private Models() {}

    /** Returns the 161 parameters of ResNet-50: 25,557,032. */
    static List<Shape.Tensor> resNet50(DType dtype) {
        List<Long> lengths = new ArrayList<>();
        convolution(lengths, 3, 64, 7);
        long in = 64;
        int[] blocks = {3, 4, 6, 3};
        for (int stage = 0; stage < blocks.length; stage++) {
            long width = 64L << stage;
            for (int block = 0; block < blocks[stage]; block++) {
                convolution(lengths, in, width, 1);
                convolution(lengths, width, width, 3);
                convolution(lengths, width, 4 * width, 1);
                if (block == 0) convolution(lengths, in, 4 * width, 1);
                in = 4 * width;
            }
        }
        lengths.addAll(List.of(in * 1000, 1000L));
        return tensors(dtype, lengths);
    }

    /** Adds a convolution and the two parameters of the batch normalisation behind it. */
    private static void convolution(List<Long> lengths, long in, long out, long kernel) {
        lengths.addAll(List.of(in * out * kernel * kernel, out, out));
    }

    /** Returns the 148 parameters of GPT-2: 124,439,808. */
    static List<Shape.Tensor> gpt2(DType dtype) {
        long width = 768;
        List<Long> lengths = new ArrayList<>(List.of(50_257 * width, 1024 * width));
        for (int layer = 0; layer < 12; layer++) {
            lengths.addAll(List.of(width, width, width * 3 * width, 3 * width, width * width, width));
            lengths.addAll(List.of(width, width, width * 4 * width, 4 * width, 4 * width * width, width));
        }
        lengths.addAll(List.of(width, width));
        return tensors(dtype, lengths);
    }

    /**
     * Returns the 291 parameters of Llama 3 8B, 8,030,261,248, or as many of its 32 layers as fit, one at least, and
     * then nothing else. From its published configuration (huggingface.co/meta-llama/Meta-Llama-3-8B, config.json):
     * width 4096, 32 heads, 8 of them with keys and values of their own, 14336 within, a vocabulary of 128256.
     */
    static List<Shape.Tensor> llama8b(DType dtype, long limit) {
        long width = 4096;
        long shared = width * 8 / 32;
        long inner = 14_336;
        List<Long> layer = List.of(
                width * width,
                width * shared,
                width * shared,
                width * width,
                width * inner,
                width * inner,
                inner * width,
                width,
                width);
        int layers = 32;
        long bytes = dtype.bytes() * layer.stream().mapToLong(Long::longValue).sum();
        long embedding = 128_256 * width;
        List<Long> lengths = new ArrayList<>();
        boolean isWhole = limit >= layers * bytes + (2 * embedding + width) * dtype.bytes();
        if (isWhole) lengths.add(embedding);
        for (long i = 0; i < layers && (i == 0 || (i + 1) * bytes <= limit); i++) lengths.addAll(layer);
        if (isWhole) lengths.addAll(List.of(width, embedding));
        return tensors(dtype, lengths);
    }

    private static List<Shape.Tensor> tensors(DType dtype, List<Long> lengths) {
        return lengths.stream().map(length -> new Shape.Tensor(dtype, length)).toList();
    }
}
