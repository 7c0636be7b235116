// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.timing;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** Times several ways to do a step, in turn, so that all meet the same machine: microseconds and heap bytes of each. */
public final class StepTimer {
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private final List<Way> ways = new ArrayList<>();

    private record Way(String name, Runnable before, Runnable step, List<Double> micros, List<Long> bytes) {}

    /** The next way; what comes before its step is not timed. */
    public StepTimer add(String name, Runnable before, Runnable step) {
        ways.add(new Way(name, before, step, new ArrayList<>(), new ArrayList<>()));
        return this;
    }

    /** As many rounds as fit, the first third of them to warm up; then prints a table under a title. */
    public void print(String title, double seconds) {
        long start = System.nanoTime();
        while (System.nanoTime() - start < seconds / 3 * 1e9) round(false);
        while (System.nanoTime() - start < seconds * 1e9) round(true);
        System.out.printf(Locale.ROOT, "%n| %s | µs | 10 %% to 90 %% | heap bytes |%n|---|---|---|---|%n", title);
        for (Way way : ways) {
            double[] micros = way.micros.stream().mapToDouble(x -> x).sorted().toArray();
            long[] bytes = way.bytes.stream().mapToLong(x -> x).sorted().toArray();
            System.out.printf(
                    Locale.ROOT,
                    "| %s | %.0f | %.0f to %.0f | %d |%n",
                    way.name,
                    micros[micros.length / 2],
                    micros[micros.length / 10],
                    micros[micros.length * 9 / 10],
                    bytes[bytes.length / 2]);
        }
    }

    private void round(boolean counts) {
        for (Way way : ways) {
            way.before.run();
            long bytes = THREADS.getCurrentThreadAllocatedBytes();
            long start = System.nanoTime();
            way.step.run();
            double micros = (System.nanoTime() - start) / 1e3;
            bytes = THREADS.getCurrentThreadAllocatedBytes() - bytes;
            if (!counts) continue;
            way.micros.add(micros);
            way.bytes.add(bytes);
        }
    }

    /** The elements of arrays of these lengths, for a title. */
    public static String size(long... lengths) {
        return String.format(
                Locale.ROOT,
                "%d tensors, %.2f Mi elements",
                lengths.length,
                Arrays.stream(lengths).sum() / 1048576.0);
    }
}
