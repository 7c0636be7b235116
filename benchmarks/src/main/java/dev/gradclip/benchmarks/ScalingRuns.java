// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.measure.Case;
import dev.gradclip.measure.GradientSet;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Times;
import dev.gradclip.measure.Workload;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;

/**
 * The measurements of {@link ScalingReport} within one JVM: native FLOAT32 in direct memory.
 *
 * @param backend that works
 * @param threads that work, but where threads are what changes
 * @param seconds a measurement takes
 * @param memory bytes that gradients may take
 * @param largest elements of the largest set
 * @param steps of sizes, as powers of two
 * @param say where progress is told
 */
record ScalingRuns(
        Backend backend, int threads, double seconds, long memory, long largest, int steps, Consumer<String> say) {
    private static final List<Case> CASES = List.of(Case.NORM, Case.BITES);
    private static final int MOST_TENSORS = 10_000;

    /** A receiver of the times of one case. */
    private interface Taker {
        void take(Case what, Times times);
    }

    List<Scaling.Size> sizes() {
        List<Scaling.Size> result = new ArrayList<>();
        for (int power = 10; power <= 30; power += steps) {
            long elements = 1L << power;
            if (fits(elements)) {
                measure(1, elements, threads, (what, times) -> result.add(new Scaling.Size(elements, what, times)));
            }
        }
        return result;
    }

    List<Scaling.Count> counts() {
        List<Scaling.Count> result = new ArrayList<>();
        for (long elements : totals()) {
            for (int tensors = 1; tensors <= MOST_TENSORS; tensors *= 10) {
                int count = tensors;
                measure(
                        count,
                        elements / count,
                        threads,
                        (what, times) -> result.add(new Scaling.Count(elements, count, what, times)));
            }
        }
        return result;
    }

    List<Scaling.Threads> threadCounts() {
        List<Scaling.Threads> result = new ArrayList<>();
        for (long elements : totals()) {
            for (int workers : workers(Runtime.getRuntime().availableProcessors())) {
                measure(
                        1,
                        elements,
                        workers,
                        (what, times) -> result.add(new Scaling.Threads(elements, workers, what, times)));
            }
        }
        return result;
    }

    /** Up to 8 each, then powers of two; the processors themselves, and one more. */
    static Set<Integer> workers(int processors) {
        Set<Integer> result = new TreeSet<>(Set.of(processors, processors + 1));
        for (int n = 1; n <= processors; n = n < 8 ? n + 1 : 2 * n) result.add(n);
        return result;
    }

    private List<Long> totals() {
        List<Long> result = new ArrayList<>();
        for (long elements : new long[] {1 << 20, 1 << 24}) if (fits(elements)) result.add(elements);
        return result;
    }

    private boolean fits(long elements) {
        if (elements > largest) return false;
        long bytes = elements * Float.BYTES;
        if (bytes <= memory) return true;
        say.accept("skipped: " + Shape.human(elements) + " floats, " + (bytes >> 20) + " MiB of the " + (memory >> 20)
                + " MiB that may be used");
        return false;
    }

    private void measure(int tensors, long length, int workers, Taker taker) {
        Shape shape = Shape.equal(DType.FLOAT32, tensors, length);
        say.accept(shape.label() + ", " + workers + " threads");
        try (GradientSet set = new GradientSet(shape, backend);
                Workload work = new Workload(set, backend, workers)) {
            for (Case what : CASES) taker.take(what, Times.of(work.prepare(what), seconds));
        }
        // Direct memory goes back when its owner is collected; the next set may need it.
        if (shape.bytes() >= 1 << 28) System.gc();
    }

    List<Scaling.Rebind> rebinds(int tensors, long length) {
        List<Scaling.Rebind> result = new ArrayList<>();
        Shape shape = Shape.equal(DType.FLOAT32, tensors, length);
        for (int moved : new int[] {0, Math.max(1, tensors / 100), tensors}) {
            say.accept("rebind " + moved + " of " + tensors);
            result.add(RebindTimes.measure(shape, moved, backend, threads, seconds));
        }
        return result;
    }
}
