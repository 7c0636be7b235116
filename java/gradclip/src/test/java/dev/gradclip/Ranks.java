// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** The same gradients whole in one clipper, and cut at random places over the clippers of several ranks. */
final class Ranks implements AutoCloseable {
    /** A tensor as one process has it; 0 rows for one that is bound without. */
    static final class Whole {
        private final DType dtype;
        private final double[] values;
        private final int rows;
        private final @Nullable String group;

        Whole(DType dtype, double[] values, int rows, @Nullable String group) {
            this.dtype = dtype;
            this.values = values;
            this.rows = rows;
            this.group = group;
        }

        DType dtype() {
            return dtype;
        }

        double[] values() {
            return values;
        }

        int rows() {
            return rows;
        }

        @Nullable
        String group() {
            return group;
        }
    }

    private record Part(int rank, int tensor, int from, int to, HostBuffer buffer, HostBuffer weights) {}

    final GradientClipper whole;
    final List<GradientClipper> clippers = new ArrayList<>();
    final List<HostBuffer> wholeBuffers = new ArrayList<>();
    private final List<HostBuffer> wholeWeights = new ArrayList<>();
    private final List<Whole> tensors;
    private final List<Part> placed = new ArrayList<>();
    private final TestBackend backend;
    private final List<GradientClipperBuilder> builders = new ArrayList<>();
    private final Random random;

    Ranks(TestBackend backend, List<Whole> tensors, int ranks, Random random) {
        this.backend = backend;
        this.tensors = tensors;
        this.random = random;
        GradientClipperBuilder one = backend.builder();
        for (int r = 0; r < ranks; r++) builders.add(backend.builder());
        for (int i = 0; i < tensors.size(); i++) {
            Whole tensor = tensors.get(i);
            if (tensor.group() != null) {
                one.group(tensor.group());
                for (GradientClipperBuilder builder : builders) builder.group(tensor.group());
            }
            HostBuffer buffer = Values.buffer(tensor.dtype(), tensor.values());
            wholeBuffers.add(buffer);
            HostBuffer weights = weights(i, 0, tensor.values().length);
            wholeWeights.add(weights);
            one.add("t" + i, backend.place(buffer)).weights(backend.place(weights));
            if (tensor.rows() > 0) one.rows(tensor.rows());
            place(i, tensor);
        }
        whole = one.build();
        for (GradientClipperBuilder builder : builders) clippers.add(builder.build());
    }

    private HostBuffer weights(int tensor, int from, int to) {
        double[] values = Values.normal(tensor, tensors.get(tensor).values().length, 1);
        return Values.buffer(tensors.get(tensor).dtype(), Arrays.copyOfRange(values, from, to));
    }

    /** Cuts a tensor into as many parts as there are ranks or fewer, and gives them to ranks in any order. */
    private void place(int index, Whole tensor) {
        int ranks = builders.size();
        int unit = tensor.rows() > 0
                ? tensor.values().length / tensor.rows()
                : 8192 / tensor.dtype().bytes();
        int length = tensor.values().length;
        int units = unit == 0 ? 0 : (length + unit - 1) / unit;
        int parts = units == 0 ? 1 : 1 + random.nextInt(Math.min(ranks, units));
        int[] cuts = new int[parts + 1];
        for (int p = 1; p < parts; p++) cuts[p] = Math.min(length, random.nextInt(units + 1) * unit);
        cuts[parts] = length;
        Arrays.sort(cuts);
        List<Integer> order = new ArrayList<>(IntStream.range(0, ranks).boxed().toList());
        Collections.shuffle(order, random);
        int owner = order.get(0);
        // A tensor that is not cut may be a replica on every rank.
        boolean isReplica = parts == 1 && random.nextBoolean();
        for (int k = 0; k < ranks; k++) {
            int rank = order.get(k);
            GradientClipperBuilder builder = builders.get(rank);
            if (k >= parts && !isReplica) {
                builder.elsewhere("t" + index, tensor.dtype(), length);
                continue;
            }
            int from = isReplica ? 0 : cuts[k];
            int to = isReplica ? length : cuts[k + 1];
            HostBuffer buffer = Values.buffer(tensor.dtype(), Arrays.copyOfRange(tensor.values(), from, to));
            HostBuffer weights = weights(index, from, to);
            builder.add("t" + index, backend.place(buffer))
                    .weights(backend.place(weights))
                    .shard(from, length);
            if (tensor.rows() > 0) builder.rows(unit == 0 ? 0 : (to - from) / unit);
            if (isReplica) builder.replica(owner);
            placed.add(new Part(rank, index, from, to, buffer, weights));
        }
    }

    /** Measures on every rank, in the order of the ranks. */
    List<byte[]> partials(ClipRule rule) {
        return clippers.stream().map(c -> c.partialNorm(rule).toBytes()).toList();
    }

    List<ClipResult> clip(ClipRule rule) {
        GlobalNorms norms = GlobalNorms.combine(partials(rule));
        return clippers.stream().map(c -> c.clip(rule, norms)).toList();
    }

    /** Does the same on every rank, in a thread for each; returns the results, or what was thrown. */
    List<Object> byExchange(BiFunction<GradientClipper, Exchange, Object> call) {
        return byExchange(clippers, Exchange.inProcess(clippers.size()), call);
    }

    static List<Object> byExchange(
            List<GradientClipper> clippers,
            List<Exchange> exchanges,
            BiFunction<GradientClipper, Exchange, Object> call) {
        ExecutorService threads = Executors.newFixedThreadPool(clippers.size());
        try {
            List<Future<Object>> futures = new ArrayList<>();
            for (int r = 0; r < clippers.size(); r++) {
                int rank = r;
                futures.add(threads.submit(() -> outcome(() -> call.apply(clippers.get(rank), exchanges.get(rank)))));
            }
            List<Object> results = new ArrayList<>();
            for (Future<Object> future : futures) results.add(outcome(future::get));
            return results;
        } finally {
            threads.shutdownNow();
        }
    }

    /** Returns what a call returns, or what it throws. */
    static Object outcome(Callable<Object> call) {
        try {
            return call.call();
        } catch (Exception e) {
            return e;
        }
    }

    /** Returns the bits of every gradient put together from the ranks; a replica that differs is an error. */
    List<long[]> bits() {
        return bits(Part::buffer);
    }

    List<long[]> weightsBits() {
        return bits(Part::weights);
    }

    private List<long[]> bits(Function<Part, HostBuffer> of) {
        List<long[]> all = new ArrayList<>();
        for (Whole tensor : tensors) all.add(new long[tensor.values().length]);
        boolean[][] seen = new boolean[tensors.size()][];
        for (int i = 0; i < seen.length; i++)
            seen[i] = new boolean[tensors.get(i).values().length];
        for (Part part : placed) {
            long[] bits = Values.bits(of.apply(part));
            for (int i = 0; i < bits.length; i++) {
                int at = part.from() + i;
                if (seen[part.tensor()][at] && all.get(part.tensor())[at] != bits[i]) {
                    throw new AssertionError("replicas of t" + part.tensor() + " differ at " + at);
                }
                seen[part.tensor()][at] = true;
                all.get(part.tensor())[at] = bits[i];
            }
        }
        return all;
    }

    /** Returns true if a rank holds a tensor or a part of one. */
    boolean holdsAny(int rank) {
        return placed.stream().anyMatch(part -> part.rank() == rank);
    }

    /** Returns the first row that a rank holds of a tensor, or -1. */
    int firstRow(int rank, int tensor) {
        for (Part part : placed) {
            boolean isIt = part.rank() == rank && part.tensor() == tensor && part.to() > part.from();
            if (isIt && tensors.get(tensor).rows() > 0) {
                return part.from()
                        / (tensors.get(tensor).values().length
                                / tensors.get(tensor).rows());
            }
        }
        return -1;
    }

    List<long[]> wholeBits() {
        return wholeBuffers.stream().map(Values::bits).toList();
    }

    List<long[]> wholeWeightsBits() {
        return wholeWeights.stream().map(Values::bits).toList();
    }

    @Override
    public void close() {
        whole.close();
        clippers.forEach(GradientClipper::close);
    }
}
