// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import dev.gradclip.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** The shapes that have a name, and {@code COUNTxLENGTH}. */
public enum Shapes {
    /** He et al. 2015, arXiv 1512.03385. */
    RESNET50("resnet50"),
    /** Radford et al. 2019, the smallest. */
    GPT2("gpt2"),
    /** Llama 3 8B: within a limit as many whole layers as fit. */
    LLAMA8B("llama8b"),
    /** The 500 tensors of two types of NVIDIA-NeMo/Automodel#3685; their lengths are not published, their sum is. */
    NEMO_MIXED("nemo-mixed"),
    /** The one BFLOAT16 tensor of NVIDIA-NeMo/Automodel#3685. */
    NEMO_EMBEDDING("nemo-embedding"),
    /** The 500 matrices of NVIDIA-NeMo/Automodel#3815; their lengths are not published, their sum is. */
    NEMO_MATRICES("nemo-matrices");

    private static final int MIXED = 500;
    private static final int RATIOS = 8;
    private static final long SHORTEST = 16;
    private static final int[] ODD = {1, -1, 2, -2, 3, -3};

    private final String label;

    Shapes(String label) {
        this.label = label;
    }

    /** Returns the name that asks for it. */
    public String label() {
        return label;
    }

    /** Returns the shape at its real size; the type is that of NeMo's own shapes, and the given one for all others. */
    public Shape of(DType dtype) {
        return of(dtype, Long.MAX_VALUE);
    }

    /** Returns the shape in at most {@code limit} bytes; its name says if it was scaled down. */
    public Shape of(DType dtype, long limit) {
        Shape real = new Shape(label, tensors(dtype, Long.MAX_VALUE));
        if (real.bytes() <= limit) return real;
        Shape whole = new Shape(label, tensors(dtype, limit));
        Shape scaled = new Shape(label, whole.within(limit).tensors());
        return scaled.scaledFrom(real.elements());
    }

    private List<Shape.Tensor> tensors(DType dtype, long limit) {
        return switch (this) {
            case RESNET50 -> Models.resNet50(dtype);
            case GPT2 -> Models.gpt2(dtype);
            case LLAMA8B -> Models.llama8b(dtype, limit);
            case NEMO_MIXED -> mixed(225_181_696);
            case NEMO_EMBEDDING -> equal(1, 6_000_261L * 256);
            case NEMO_MATRICES -> equal(500, 20_520_000);
        };
    }

    /**
     * Finds a shape; {@code limit} holds for those that have a name, {@code COUNTxLENGTH} is taken at its word.
     *
     * @throws IllegalArgumentException if there is none of that name
     */
    public static Shape named(String name, DType dtype, long limit) {
        for (Shapes one : values()) if (one.label.equals(name)) return one.of(dtype, limit);
        String[] parts = name.split("x", 2);
        if (parts.length != 2 || !parts[0].matches("[0-9]{1,9}") || !parts[1].matches("[0-9]{1,18}")) {
            throw new IllegalArgumentException(
                    "no workload '" + name + "'; name COUNTxLENGTH or one of " + String.join(", ", labels()));
        }
        return Shape.equal(dtype, Integer.parseInt(parts[0]), Long.parseLong(parts[1]));
    }

    /** Returns all names. */
    public static List<String> labels() {
        return Stream.of(values()).map(Shapes::label).toList();
    }

    /**
     * Returns 500 tensors, every fifth FLOAT32, the others BFLOAT16; lengths in ratios of 1 to 8, few multiples of a
     * vector.
     */
    public static List<Shape.Tensor> mixed(long elements) {
        long ratios = 0;
        for (int i = 0; i < MIXED; i++) ratios += 1 + i % RATIOS;
        long unit = Math.max(SHORTEST, elements / ratios);
        long left = Math.max(elements, SHORTEST * ratios);
        List<Shape.Tensor> tensors = new ArrayList<>();
        for (int i = 0; i < MIXED; i++) {
            long length = i == MIXED - 1 ? left : unit * (1 + i % RATIOS) + ODD[i % ODD.length];
            tensors.add(new Shape.Tensor(i % 5 == 0 ? DType.FLOAT32 : DType.BFLOAT16, length));
            left -= length;
        }
        return tensors;
    }

    private static List<Shape.Tensor> equal(int tensors, long length) {
        return Shape.equal(DType.BFLOAT16, tensors, length).tensors();
    }
}
