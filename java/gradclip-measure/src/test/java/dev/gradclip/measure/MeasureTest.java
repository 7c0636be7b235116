// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;

class MeasureTest {
    @Test
    void percentilesByNearestRank() {
        double[] micros = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
        assertEquals(new Times(5, 1, 9, 20), Times.of(micros, 20));
        assertEquals(new Times(7, 7, 7, 1), Times.of(new double[] {7}, 1));
    }

    @Test
    void atLeastThreeCallsWithoutTime() {
        AtomicInteger calls = new AtomicInteger();
        Times times = Times.of(
                () -> {
                    calls.incrementAndGet();
                    sleep();
                },
                0);
        assertEquals(3, times.calls());
        assertEquals(4, calls.get());
        assertTrue(times.low() >= 5_000, times::toString);
    }

    private static void sleep() {
        try {
            Thread.sleep(5);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void callsTakeTurns() {
        List<Integer> calls = new ArrayList<>();
        List<Times> times = Times.byTurns(List.of(() -> calls.add(0), () -> calls.add(1), () -> calls.add(2)), 0);
        for (int i = 0; i < calls.size(); i++) assertEquals(i % 3, calls.get(i));
        // Once to warm up, and the fewest samples.
        assertEquals(3 * 4, calls.size());
        assertEquals(3, times.size());
        for (Times each : times) assertEquals(3, each.calls());
    }

    @Test
    void everyPartOncePerRun() {
        AtomicIntegerArray counts = new AtomicIntegerArray(3);
        try (Lockstep lockstep = new Lockstep(3)) {
            for (int i = 0; i < 100; i++) {
                lockstep.run(counts::incrementAndGet);
                for (int part = 0; part < 3; part++) assertEquals(i + 1, counts.get(part));
            }
        }
    }

    @Test
    void limits() {
        MemoryRates rates = new MemoryRates(10, 4).faster(new MemoryRates(5, 5));
        assertEquals(new MemoryRates(10, 5), rates);
        assertEquals(100, rates.micros(new Traffic(1000, 0, 1000)));
        assertEquals(300, rates.micros(new Traffic(1000, 1000, 3000)));
        assertEquals(114, rates.micros(new Traffic(1000, 70, 1070)));
    }

    @Test
    void ratesOfThisMachine() {
        MemoryRates rates = MemoryRates.measure(1 << 20, 2, 0.02);
        // Slower than a floppy disk or faster than any cache: the loop did not do what it says.
        assertTrue(rates.read() > 1 && rates.read() < 1e7, rates::toString);
        assertTrue(rates.rewrite() > 1 && rates.rewrite() < 1e7, rates::toString);
    }

    @Test
    void labels() {
        assertEquals("500 x 1Ki", Shape.equal(DType.FLOAT32, 500, 1024).label());
        assertArrayEquals(new String[] {"0", "1000", "16Mi", "1Gi", "4096Gi"}, new String[] {
            Shape.human(0), Shape.human(1000), Shape.human(1 << 24), Shape.human(1 << 30), Shape.human(1L << 42)
        });
    }
}
