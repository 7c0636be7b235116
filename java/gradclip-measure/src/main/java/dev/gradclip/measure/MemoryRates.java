// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import java.util.Arrays;

/**
 * The rates that this JVM's own loops reach over as much memory, in bytes a microsecond: the limit that clips are held
 * against. Reading is {@link Arrays#mismatch} of two equal halves; rewriting is {@code x ^= c} in place. Both are
 * vector code in HotSpot. The rate is the tenth percentile of all passes: what the machine can do, not what it did
 * while others kept it busy.
 *
 * @param read bytes that are read
 * @param rewrite bytes that are read and written back, counted once
 */
public record MemoryRates(double read, double rewrite) {
    /** Measures both for {@code seconds} in all, on at most as many threads as there are processors. */
    public static MemoryRates measure(long bytes, int threads, double seconds) {
        int[] memory = new int[Math.toIntExact(bytes / Integer.BYTES)];
        int workers = Math.min(threads, Runtime.getRuntime().availableProcessors());
        try (Lockstep lockstep = new Lockstep(workers)) {
            Times rewrite = Times.of(() -> lockstep.run(part -> rewrite(memory, part, workers)), seconds / 2);
            Times read = Times.of(() -> lockstep.run(part -> read(memory, part, workers)), seconds / 2);
            return new MemoryRates(bytes / read.low(), bytes / rewrite.low());
        }
    }

    private static void read(int[] memory, int part, int parts) {
        int from = start(memory, part, parts);
        int half = (start(memory, part + 1, parts) - from) / 2;
        if (Arrays.mismatch(memory, from, from + half, memory, from + half, from + 2 * half) >= 0) {
            throw new IllegalStateException("equal halves differ");
        }
    }

    private static void rewrite(int[] memory, int part, int parts) {
        int to = start(memory, part + 1, parts);
        for (int i = start(memory, part, parts); i < to; i++) memory[i] ^= 0x5555;
    }

    private static int start(int[] memory, int part, int parts) {
        return (int) ((long) memory.length * part / parts);
    }

    /** Returns the faster of both, each way. */
    public MemoryRates faster(MemoryRates other) {
        return new MemoryRates(Math.max(read, other.read), Math.max(rewrite, other.rewrite));
    }

    /** Returns the microseconds that a call takes at these rates. */
    public double micros(Traffic traffic) {
        return traffic.read() / read + traffic.rewritten() / rewrite;
    }
}
