// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.distributed;

import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.Exchange;
import dev.gradclip.GlobalNorms;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import dev.gradclip.measure.Shape;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Times the parts of a clip by one norm over ranks, of gradients of a model's shape and no model. A tensor that has a
 * tile of 8 KiB for each rank is cut evenly; of the others each rank holds every so manieth one whole.
 */
final class ExchangeTimes {
    private static final ClipRule RULE = ClipRule.globalNorm(1.0);
    private static final int TILE = 8192 / DType.FLOAT32.bytes();
    private static final int RUN = 1024;
    private static final int WARM = 20;

    /** Measure, exchange, combine, apply. */
    private static final int PARTS = 4;

    private final Shape shape;
    private final Exchange exchange;

    ExchangeTimes(Shape shape, Exchange exchange) {
        this.shape = shape;
        this.exchange = exchange;
    }

    /** The elements that a rank holds of a tensor: those from {@code from} on, before {@code to}. */
    private record Part(long from, long to) {
        static Part of(int tensor, long length, int rank, int ranks) {
            long tiles = (length + TILE - 1) / TILE;
            if (tiles < ranks) return tensor % ranks == rank ? new Part(0, length) : new Part(0, 0);
            return new Part(
                    Math.min(length, tiles * rank / ranks * TILE), Math.min(length, tiles * (rank + 1) / ranks * TILE));
        }

        /** The sums that stand for it: one for each run that it holds whole, else one for each tile of a run. */
        long sums(long length) {
            if (from == to) return 0;
            if (from == 0 && to == length) return 1;
            long first = from / TILE;
            long last = (to + TILE - 1) / TILE;
            long end = (length + TILE - 1) / TILE;
            long sums = 0;
            for (long run = first / RUN; run * RUN < last; run++) {
                long begin = run * RUN;
                long stop = Math.min(end, begin + RUN);
                long held = Math.min(last, stop) - Math.max(first, begin);
                sums += held == stop - begin ? 1 : held;
            }
            return sums;
        }
    }

    private static String name(int tensor) {
        return "tensor." + tensor;
    }

    /** The bytes that a rank sends by the table in docs/distributed.md. */
    static long formula(Shape shape, int rank, int ranks) {
        long bytes = 33L + utf8(RULE.toString());
        for (int i = 0; i < shape.tensors().size(); i++) {
            long length = shape.tensors().get(i).length();
            bytes += 42 + utf8(name(i)) + 8 * Part.of(i, length, rank, ranks).sums(length);
        }
        return bytes;
    }

    private static int utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8).length;
    }

    /** Makes up an element of a tensor, the same on every rank. */
    private static float element(int tensor, long at) {
        long mixed = (tensor * 0x9E3779B97F4A7C15L + at) * 0xBF58476D1CE4E5B9L;
        return (mixed >> 40) * 0x1p-24f;
    }

    private static HostBuffer buffer(int tensor, Part part) {
        int count = Math.toIntExact(part.to() - part.from());
        FloatBuffer floats = ByteBuffer.allocateDirect(4 * count)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
        for (int i = 0; i < count; i++) floats.put(i, element(tensor, part.from() + i));
        return HostBuffer.wrap(floats);
    }

    /** Runs on every rank; rank 0 prints a line of a table. Returns false if the norm is not that of one process. */
    boolean run(PrintStream out, int steps) {
        GradientClipperBuilder builder = GradientClipper.builder().threads(threads());
        GradientClipperBuilder refilling = GradientClipper.builder().threads(threads());
        for (int i = 0; i < shape.tensors().size(); i++) {
            long length = shape.tensors().get(i).length();
            Part part = Part.of(i, length, exchange.rank(), exchange.size());
            if (part.from() == part.to()) {
                builder.elsewhere(name(i), DType.FLOAT32, length);
                continue;
            }
            HostBuffer own = buffer(i, part);
            builder.add(name(i), own).shard(part.from(), length);
            refilling.add(name(i), own);
        }
        try (GradientClipper clipper = builder.build();
                GradientClipper refill = refilling.build()) {
            double norm = clipper.clip(RULE, exchange).globalNorm();
            if (exchange.rank() == 0 && norm != wholeNorm()) {
                out.println("the norm over ranks is " + norm + ", but that of one process " + wholeNorm());
                return false;
            }
            double[][] micros = new double[PARTS][steps];
            int bytes = 0;
            for (int step = -WARM; step < steps; step++) {
                // What was clipped would not be clipped again.
                refill.clip(ClipRule.normalize(4));
                exchange.allGather(new byte[0]);
                bytes = step(clipper, micros, step);
            }
            if (exchange.rank() == 0) print(out, micros, bytes);
            return true;
        }
    }

    private int step(GradientClipper clipper, double[][] micros, int step) {
        long[] at = new long[PARTS + 1];
        at[0] = System.nanoTime();
        byte[] mine = clipper.partialNorm(RULE).toBytes();
        at[1] = System.nanoTime();
        byte[][] sent = exchange.allGather(mine);
        at[2] = System.nanoTime();
        GlobalNorms norms = GlobalNorms.combine(Arrays.asList(sent));
        at[3] = System.nanoTime();
        boolean clipped = clipper.clip(RULE, norms).clipped();
        at[4] = System.nanoTime();
        if (!clipped) throw new IllegalStateException("nothing was clipped, so that this is no time of a clip");
        for (int i = 0; i < PARTS && step >= 0; i++) micros[i][step] = (at[i + 1] - at[i]) / 1e3;
        return mine.length;
    }

    private int threads() {
        return Math.max(1, Runtime.getRuntime().availableProcessors() / exchange.size());
    }

    private double wholeNorm() {
        List<HostBuffer> all = new ArrayList<>();
        for (int i = 0; i < shape.tensors().size(); i++) {
            all.add(buffer(i, new Part(0, shape.tensors().get(i).length())));
        }
        try (GradientClipper whole = GradientClipper.of(all.toArray(new HostBuffer[0]))) {
            return whole.globalNorm();
        }
    }

    private void print(PrintStream out, double[][] micros, int bytes) {
        for (double[] each : micros) Arrays.sort(each);
        int middle = micros[0].length / 2;
        out.printf("medians of %d steps on rank 0; the norm has the bits of one process:%n%n", micros[0].length);
        out.println(
                "| gradients | ranks | measure | exchange | combine | apply | bytes rank 0 sends | by the formula |");
        out.println("|---|---|---|---|---|---|---|---|");
        out.printf(
                Locale.ROOT,
                "| %s | %d | %.0f µs | %.0f µs | %.0f µs | %.0f µs | %,d | %,d |%n",
                shape.name(),
                exchange.size(),
                micros[0][middle],
                micros[1][middle],
                micros[2][middle],
                micros[3][middle],
                bytes,
                formula(shape, exchange.rank(), exchange.size()));
    }
}
