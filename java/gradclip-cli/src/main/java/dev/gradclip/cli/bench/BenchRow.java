// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.Backend;
import dev.gradclip.measure.Case;
import dev.gradclip.measure.MemoryRates;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Times;
import dev.gradclip.measure.Traffic;

/**
 * One measurement.
 *
 * @param backend that worked
 * @param shape of the gradients
 * @param what was called
 * @param times of a call
 * @param traffic that a call needs
 * @param limit microseconds that the machine's own rates would allow; 0 where they are not known
 */
record BenchRow(Backend backend, Shape shape, Case what, Times times, Traffic traffic, double limit) {
    /** Returns this row beside the rates of host memory; a device has memory of its own, whose rates nothing tells. */
    BenchRow heldAgainst(MemoryRates rates) {
        if (backend == Backend.CUDA) return this;
        return new BenchRow(backend, shape, what, times, traffic, rates.micros(traffic));
    }

    boolean hasLimit() {
        return limit > 0;
    }

    /** Returns the bytes that a call must read and write. */
    long moved() {
        return traffic.moved();
    }

    double gigabytesPerSecond() {
        return moved() / times.median() / 1e3;
    }

    /** Returns the share of the machine's rate that was reached: 1 is as fast as memory allows. */
    double ofLimit() {
        return limit / times.median();
    }
}
