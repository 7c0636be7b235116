// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.util.Locale;
import java.util.Map.Entry;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;

/**
 * Heap bytes that calls allocate, as JMH's {@code -prof gc} counts them: on all threads, JMH's own among them.
 *
 * @param bytes a call, in the iteration that has the least
 * @param calls in that iteration
 */
record Allocation(double bytes, long calls) {
    /** JMH's own in an iteration that times calls all together: 5,840 to 6,128 were seen with one call each. */
    private static final double HARNESS = 8192;

    /** The bytes that the JVM and JMH allocate beside them now and then; no object is smaller than 16. */
    private static final double STRAY = 4;

    /** A ClipResult, with compressed references. */
    private static final double RESULT = 64;

    /** A verb makes a rule of its number: 72 for a norm, 40 for a value; compiled code sometimes takes it apart. */
    private static final double RULE = 72;

    /**
     * The bytes that a clipper makes of a rule that is not the one before: {@code bites} has another threshold at each
     * call.
     */
    private static final double NEW_RULE = 88;

    /** The number of calls below which JMH's own allocations show in the bytes of each. */
    private static final long MANY = 1000;

    private static final String BYTES_A_CALL = "gc.alloc.rate.norm";

    static Allocation of(RunResult result) {
        Allocation least = new Allocation(Double.POSITIVE_INFINITY, 0);
        for (BenchmarkResult fork : result.getBenchmarkResults()) {
            for (IterationResult iteration : fork.getIterationResults()) {
                Allocation one = of(iteration);
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

    /**
     * Bytes that a call may allocate: a norm alone nothing, a clip its result and its rule; and its share of JMH's own.
     */
    double most(String what) {
        double own = switch (what) {
            case "measure" -> 0;
            case "bites" -> RESULT + RULE + NEW_RULE;
            default -> RESULT + RULE;
        };
        return own + STRAY + HARNESS / calls;
    }

    /** The complaint about too much of it, or nothing. */
    String fault(String what) {
        if (bytes <= most(what)) return "";
        return String.format(
                Locale.ROOT, "%.0f bytes a call, of %.0f that result, rule and JMH need", bytes, most(what));
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, calls < MANY ? "≤ %.0f" : "%.0f", bytes);
    }
}
