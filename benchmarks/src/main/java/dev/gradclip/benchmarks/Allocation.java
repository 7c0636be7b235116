// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.util.Map.Entry;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;

/**
 * Heap bytes that a benchmark's calls allocate, as JMH's {@code -prof gc} counts them: on all threads, the harness's own
 * among them.
 *
 * @param bytes a call, in the iteration that has the least
 * @param calls in that iteration
 */
record Allocation(double bytes, long calls) {
    static final double RESULT = 64;

    boolean isResultOnly() {
        return bytes <= RESULT;
    }

    private static final String BYTES_A_CALL = "gc.alloc.rate.norm";

    static Allocation of(RunResult result) {
        Allocation least = new Allocation(Double.POSITIVE_INFINITY, 0);
        for (BenchmarkResult fork : result.getBenchmarkResults()) {
            for (IterationResult iteration : fork.getIterationResults()) {
                Allocation one = of(iteration);
                System.err.println("ALLOC " + one);
                if (one.bytes < least.bytes) least = one;
            }
        }
        return least;
    }

    private static Allocation of(IterationResult iteration) {
        for (Entry<String, ?> entry : iteration.getSecondaryResults().entrySet()) {
            if (entry.getKey().endsWith(BYTES_A_CALL) && entry.getValue() instanceof Result<?> bytes) {
                return new Allocation(bytes.getScore(), iteration.getMetadata().getAllOps());
            }
        }
        throw new IllegalStateException(
                "JMH counted no " + BYTES_A_CALL + "; this JVM does not tell what threads allocate");
    }
}
