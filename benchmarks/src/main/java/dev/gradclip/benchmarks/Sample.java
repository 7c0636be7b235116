// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.util.Locale;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.util.Statistics;

/**
 * One benchmark's outcome.
 *
 * @param what method of {@link ClipBenchmark}
 * @param micros median microseconds a call
 * @param low its 10th percentile
 * @param high its 90th percentile
 * @param allocation heap bytes a call
 */
record Sample(
        String what,
        String backend,
        String dtype,
        String shape,
        String memory,
        double micros,
        double low,
        double high,
        Allocation allocation) {
    static Sample of(RunResult result, Allocation allocation) {
        BenchmarkParams params = result.getParams();
        Statistics times = result.getPrimaryResult().getStatistics();
        String name = params.getBenchmark();
        return new Sample(
                name.substring(name.lastIndexOf('.') + 1),
                params.getParam("backend"),
                params.getParam("dtype"),
                params.getParam("shape"),
                params.getParam("memory"),
                times.getPercentile(50),
                times.getPercentile(10),
                times.getPercentile(90),
                allocation);
    }

    /** The median and the range. */
    String spread() {
        return String.format(Locale.ROOT, "%.1f (%.1f to %.1f)", micros, low, high);
    }

    /** The complaint that it allocated more than it needs, or nothing. */
    String fault() {
        String fault = allocation.fault(what);
        return fault.isEmpty()
                ? ""
                : backend + " " + dtype + " " + shape + " " + memory + " " + what + " allocates " + fault;
    }
}
