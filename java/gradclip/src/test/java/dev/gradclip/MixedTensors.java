// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** Tensors of every type with rows, weights and groups, absent ones and an empty one: every rule is tried on them. */
final class MixedTensors implements AutoCloseable {
    /** The tensor that holds {@code odd}, in a row of its own and in group "first". */
    static final int ODD_TENSOR = 2;

    static final int ODD_ROW = 1;

    private static final Map<Drawn, double[]> DRAWN = new ConcurrentHashMap<>();

    /** The gradients; null where one is absent. */
    final List<@Nullable HostBuffer> gradients = new ArrayList<>();

    /** The weights of each tensor; null where it has none. */
    final List<@Nullable HostBuffer> parameters = new ArrayList<>();

    final GradientClipper clipper;
    private final List<Integer> rows = new ArrayList<>();
    private final List<String> groups = new ArrayList<>();
    private final TestBackend backend;
    private final GradientClipperBuilder builder;
    private final double odd;
    private final double factor;
    private String group = "";

    MixedTensors(TestBackend backend) {
        this(backend, 1, 1);
    }

    /**
     * Makes tensors with elements between 1/4 and 16.
     *
     * @param odd one element
     * @param factor the factor that all others are multiplied by
     */
    MixedTensors(TestBackend backend, double odd, double factor) {
        this.backend = backend;
        this.odd = odd;
        this.factor = factor;
        builder = backend.builder();
        add(DType.FLOAT32, 100, 1, null);
        group("first");
        add(DType.FLOAT32, 231, 33, DType.FLOAT16);
        add(DType.FLOAT64, 3000, 2, DType.FLOAT64);
        group("empty");
        group("second");
        add(DType.FLOAT16, 5000, 1, null);
        add(DType.BFLOAT16, 0, 3, DType.FLOAT32);
        add(DType.BFLOAT16, 12, 4, DType.FLOAT32);
        group("third");
        add(DType.FLOAT32, 3075, 1025, DType.BFLOAT16);
        absent(DType.FLOAT32, 64, 4);
        add(DType.FLOAT64, 900, 300, null);
        add(DType.FLOAT16, 30_000, 3, DType.FLOAT32);
        clipper = builder.build();
    }

    private void group(String name) {
        group = name;
        builder.group(name);
    }

    private void add(DType dtype, int length, int rowCount, @Nullable DType parameterType) {
        int tensor = gradients.size();
        double[] values = values(tensor, length, rowCount, factor);
        if (tensor == ODD_TENSOR) values[2000] = odd * factor;
        HostBuffer gradient = Values.buffer(dtype, values);
        gradients.add(gradient);
        builder.add(backend.place(gradient)).rows(rowCount);
        parameter(tensor, length, rowCount, parameterType);
    }

    private void absent(DType dtype, int length, int rowCount) {
        int tensor = gradients.size();
        gradients.add(null);
        builder.declare("tensor " + tensor, dtype, length).rows(rowCount);
        parameter(tensor, length, rowCount, dtype);
    }

    private void parameter(int tensor, int length, int rowCount, @Nullable DType dtype) {
        rows.add(rowCount);
        groups.add(group);
        HostBuffer weights = dtype == null ? null : Values.buffer(dtype, values(100 + tensor, length, rowCount, 1));
        parameters.add(weights);
        if (weights != null) builder.weights(backend.place(weights));
    }

    /** Returns rows whose magnitudes differ by powers of two; no element or product is subnormal in any type. */
    private static double[] values(long seed, int length, int rowCount, double factor) {
        return DRAWN.computeIfAbsent(new Drawn(seed, length, rowCount, factor), Drawn::values)
                .clone();
    }

    /** Random values, drawn once because a test makes hundreds of equal sets. */
    private record Drawn(long seed, int length, int rowCount, double factor) {
        double[] values() {
            Random random = new Random(seed);
            double[] values = new double[length];
            for (int i = 0; i < length; i++) {
                double size = Math.scalb(1 + 3 * random.nextDouble(), (int) ((long) i * rowCount / length % 5) - 2);
                values[i] = (random.nextBoolean() ? size : -size) * factor;
            }
            return values;
        }
    }

    int tensors() {
        return gradients.size();
    }

    int rows(int tensor) {
        return rows.get(tensor);
    }

    /** Returns the name of a tensor's group; empty where it is in none. */
    String group(int tensor) {
        return groups.get(tensor);
    }

    /** Returns the elements of each row as they are now; none where the buffer is absent. */
    double[][] rows(@Nullable HostBuffer buffer, int tensor) {
        double[] all = buffer == null ? new double[0] : Values.read(buffer);
        int length = all.length / rows(tensor);
        double[][] result = new double[rows(tensor)][];
        for (int i = 0; i < result.length; i++) result[i] = Arrays.copyOfRange(all, i * length, (i + 1) * length);
        return result;
    }

    /** The bits of all gradients that are not absent. */
    List<long[]> bits() {
        List<long[]> bits = new ArrayList<>();
        for (HostBuffer gradient : gradients) if (gradient != null) bits.add(Values.bits(gradient));
        return bits;
    }

    @Override
    public void close() {
        clipper.close();
    }
}
