// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.Backend;
import dev.gradclip.measure.Case;
import dev.gradclip.measure.MemoryRates;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Times;

/**
 * One measurement.
 *
 * @param backend that worked
 * @param shape of the gradients
 * @param what was called
 * @param times of a call
 * @param moved bytes that a call must read and write
 * @param touched bytes of the lines that a clamp changes
 * @param limit microseconds that the machine's own rates would allow; 0 where they are not known
 */
record BenchRow(Backend backend, Shape shape, Case what, Times times, long moved, long touched, double limit) {
    BenchRow heldAgainst(MemoryRates rates) {
        return new BenchRow(backend, shape, what, times, moved, touched, rates.micros(what, shape.bytes(), touched));
    }

    boolean hasLimit() {
        return limit > 0;
    }

    double gigabytesPerSecond() {
        return moved / times.median() / 1e3;
    }

    /** Returns the share of the machine's rate that was reached: 1 is as fast as memory allows. */
    double ofLimit() {
        return limit / times.median();
    }
}
