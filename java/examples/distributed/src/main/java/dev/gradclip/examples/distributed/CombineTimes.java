// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.distributed;

import dev.gradclip.Backend;
import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.GlobalNorms;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Times what each rank does with the bytes of all ranks, for more ranks than one machine has. */
final class CombineTimes {
    private static final int TENSORS = 291;
    private static final int TILE = 8192 / DType.BFLOAT16.bytes();
    private static final int RUNS = 15;

    private CombineTimes() {}

    /** Prints a table of some numbers of ranks, each with shards of so many tiles of every tensor. */
    static void print(PrintStream out) {
        out.println(TENSORS + " tensors of BFLOAT16, each cut evenly; best of " + RUNS + ":");
        out.println();
        out.println("| ranks | tiles a shard | bytes a rank | bytes of all ranks | combine |");
        out.println("|---|---|---|---|---|");
        for (int[] each : new int[][] {{8, 512}, {64, 64}, {1000, 4}}) out.println(row(each[0], TENSORS, each[1]));
    }

    static String row(int ranks, int tensors, int tiles) {
        List<byte[]> sent = new ArrayList<>();
        for (int rank = 0; rank < ranks; rank++) sent.add(sent(rank, ranks, tensors, tiles));
        long best = Long.MAX_VALUE;
        for (int run = 0; run < RUNS; run++) {
            long start = System.nanoTime();
            double norm = GlobalNorms.combine(sent).globalNorm();
            best = Math.min(best, System.nanoTime() - start);
            if (norm != 0) throw new IllegalStateException("absent gradients have the norm " + norm);
        }
        long all = sent.stream().mapToLong(bytes -> bytes.length).sum();
        return String.format(
                Locale.ROOT, "| %d | %d | %,d | %,d | %.1f ms |", ranks, tiles, sent.get(0).length, all, best / 1e6);
    }

    /** Gradients that are absent send as many sums as those that are there. */
    private static byte[] sent(int rank, int ranks, int tensors, int tiles) {
        long length = (long) tiles * TILE;
        GradientClipperBuilder builder =
                GradientClipper.builder().backend(Backend.JAVA).withoutLeakReport();
        for (int i = 0; i < tensors; i++) {
            builder.declare("model.layers." + i + ".mlp.weight", DType.BFLOAT16, length)
                    .shard(rank * length, ranks * length);
        }
        try (GradientClipper clipper = builder.build()) {
            return clipper.partialNorm(ClipRule.globalNorm(1.0)).toBytes();
        }
    }
}
