// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collection;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;

/** JMH counts the allocations of clips, and of a call that allocates a little more. */
public class AllocationTest {
    /** A header of 16 bytes and 27 longs. */
    @State(Scope.Benchmark)
    public static class Waste {
        private static final int LONGS = 27;

        /** 232 bytes. */
        @Benchmark
        public long[] array() {
            return new long[LONGS];
        }
    }

    /** Without escape analysis, which would hide some of it, now and then. */
    private static Allocation count(ChainedOptionsBuilder options) throws RunnerException {
        options.jvmArgsAppend("-Xmx3g", "-XX:MaxDirectMemorySize=3g", "-XX:-DoEscapeAnalysis");
        Collection<RunResult> results = new Runner(Limits.counting(options.verbosity(VerboseMode.SILENT))).run();
        assertEquals(1, results.size());
        return Allocation.of(results.iterator().next());
    }

    @Test
    void aClipAllocatesItsResultAndItsRule() throws RunnerException {
        for (String what : new String[] {"measure", "bites", "doesNotBite", "clamp"}) {
            Allocation found = count(new OptionsBuilder()
                    .include(ClipBenchmark.class.getName() + "\\." + what + "$")
                    .param("backend", "JAVA")
                    .param("shape", "10x100")
                    .param("threads", "1"));
            assertEquals("", found.fault(what), what);
            assertTrue(found.calls() > 100, found::toString);
        }
    }

    @Test
    void aLittleMoreIsAFault() throws RunnerException {
        Allocation found = count(new OptionsBuilder().include("AllocationTest.Waste.array$"));
        assertEquals(232, found.bytes(), 1);
        assertEquals("232 bytes a call, of 228 that result, rule and JMH need", found.fault("bites"));
        assertEquals("232 bytes a call, of 140 that result, rule and JMH need", found.fault("clamp"));
        assertEquals("232", found.toString());
    }

    @Test
    void whatJmhAllocatesIsShared() {
        assertEquals("", new Allocation(6_000, 1).fault("measure"));
        assertEquals("≤ 6000", new Allocation(6_000, 1).toString());
        assertEquals("", new Allocation(224 + 12, 1024).fault("bites"));
        assertTrue(!new Allocation(224 + 13, 1024).fault("bites").isEmpty());
        assertEquals("", new Allocation(136 + 12, 1024).fault("doesNotBite"));
        assertTrue(!new Allocation(136 + 13, 1024).fault("doesNotBite").isEmpty());
        assertTrue(!new Allocation(13, 1024).fault("measure").isEmpty());
        assertTrue(!new Allocation(Double.NaN, 1024).fault("bites").isEmpty());
    }
}
