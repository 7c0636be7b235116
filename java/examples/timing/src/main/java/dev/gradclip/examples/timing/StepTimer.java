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

    /** A part of a step. */
    public record Part(String name, Runnable work) {}

    private record Way(String name, Runnable before, List<Part> parts, List<long[]> nanos, List<long[]> bytes) {}

    /** The next way; what comes before its step is not timed. */
    public StepTimer add(String name, Runnable before, Runnable step) {
        return add(name, before, new Part(name, step));
    }

    /** A way whose parts are timed apart, and summed for each step. */
    public StepTimer add(String name, Runnable before, Part... parts) {
        ways.add(new Way(name, before, List.of(parts), new ArrayList<>(), new ArrayList<>()));
        return this;
    }

    /** Runs as many rounds as fit, the first third of them to warm up; then prints a table under a title. */
    public void print(String title, double seconds) {
        long start = System.nanoTime();
        while (System.nanoTime() - start < seconds / 3 * 1e9) round(false);
        while (System.nanoTime() - start < seconds * 1e9) round(true);
        System.out.printf(Locale.ROOT, "%n| %s | µs | 10 %% to 90 %% | heap bytes |%n|---|---|---|---|%n", title);
        for (Way way : ways) {
            row(way.name, sums(way.nanos), sums(way.bytes));
            if (way.parts.size() == 1) continue;
            for (int i = 0; i < way.parts.size(); i++) {
                row("… " + way.parts.get(i).name, column(way.nanos, i), column(way.bytes, i));
            }
        }
    }

    private static long[] sums(List<long[]> steps) {
        return steps.stream().mapToLong(step -> Arrays.stream(step).sum()).toArray();
    }

    private static long[] column(List<long[]> steps, int part) {
        return steps.stream().mapToLong(step -> step[part]).toArray();
    }

    private static void row(String name, long[] nanos, long[] bytes) {
        Arrays.sort(nanos);
        Arrays.sort(bytes);
        int n = nanos.length;
        System.out.printf(
                Locale.ROOT,
                "| %s | %s | %s to %s | %d |%n",
                name,
                micros(nanos[n / 2]),
                micros(nanos[n / 10]),
                micros(nanos[n * 9 / 10]),
                bytes[n / 2]);
    }

    private static String micros(long nanos) {
        return String.format(Locale.ROOT, nanos < 10_000 ? "%.1f" : "%.0f", nanos / 1e3);
    }

    private void round(boolean counts) {
        for (Way way : ways) {
            way.before.run();
            long[] nanos = new long[way.parts.size()];
            long[] bytes = new long[nanos.length];
            for (int i = 0; i < nanos.length; i++) {
                long before = THREADS.getCurrentThreadAllocatedBytes();
                long start = System.nanoTime();
                way.parts.get(i).work.run();
                nanos[i] = System.nanoTime() - start;
                bytes[i] = THREADS.getCurrentThreadAllocatedBytes() - before;
            }
            if (!counts) continue;
            way.nanos.add(nanos);
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
