// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.ClipResult;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Warmup;

/** One clip of {@link Tensors}, by case. */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(
        value = 2,
        jvmArgsAppend = {"-Xmx3g", "-XX:MaxDirectMemorySize=3g"})
@Warmup(iterations = 3, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 400, timeUnit = TimeUnit.MILLISECONDS)
public class ClipBenchmark {
    /** The norm alone: one pass. */
    @Benchmark
    public double measure(Tensors tensors) {
        return tensors.measure();
    }

    /** Above the threshold: two passes. */
    @Benchmark
    public ClipResult bites(Tensors tensors) {
        return tensors.bites();
    }

    /** Below it: one pass. */
    @Benchmark
    public ClipResult doesNotBite(Tensors tensors) {
        return tensors.doesNotBite();
    }

    /** Clamp with nothing over the limit: one pass. */
    @Benchmark
    public ClipResult clamp(Tensors tensors) {
        return tensors.clamp();
    }
}
