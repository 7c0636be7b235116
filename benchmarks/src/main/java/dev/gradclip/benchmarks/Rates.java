// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.io.IOException;
import java.nio.charset.StandardCharsets;

/**
 * The rates of plain C on this machine: microseconds to read and to scale some bytes.
 *
 * @param read of one pass that only reads
 * @param scale of one pass that reads and writes
 */
record Rates(double read, double scale) {
    /** Runs the program {@code rates}. */
    static Rates measure(String program, int threads, long bytes) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(program, Integer.toString(threads), Long.toString(bytes))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String line = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        if (process.waitFor() != 0) throw new IOException(program + " failed");
        String[] fields = line.split(" ", -1);
        return new Rates(1e6 * Double.parseDouble(fields[1]), 1e6 * Double.parseDouble(fields[2]));
    }

    /** The faster of both, each way: the limit is what the machine can do, not what it did at a bad moment. */
    Rates faster(Rates other) {
        return new Rates(Math.min(read, other.read), Math.min(scale, other.scale));
    }
}
