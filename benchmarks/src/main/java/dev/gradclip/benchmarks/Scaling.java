// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.measure.Case;
import dev.gradclip.measure.Times;
import java.util.List;

/**
 * Everything that {@link ScalingReport} measured.
 *
 * @param sizes time against the number of elements
 * @param counts against the number of tensors
 * @param threads against the number of threads
 * @param rebinds against the share of addresses moved
 * @param starts parts of a JVM's first clip
 */
record Scaling(List<Size> sizes, List<Count> counts, List<Threads> threads, List<Rebind> rebinds, List<Start> starts) {
    /** The times of one tensor. */
    record Size(long elements, Case what, Times times) {
        long bytes() {
            return elements * Float.BYTES;
        }
    }

    /** The times of many tensors with so many elements all told. */
    record Count(long elements, int tensors, Case what, Times times) {}

    /** The times of one tensor on so many threads. */
    record Threads(long elements, int threads, Case what, Times times) {}

    /**
     * A rebind that moves some tensors.
     *
     * @param tensors all of them
     * @param moved those whose address is another than the time before
     * @param rebind alone
     * @param step rebind and the clip after it, which bites
     */
    record Rebind(int tensors, int moved, Times rebind, Times step) {}

    /** One part; milliseconds as they are sorted over runs. */
    record Start(String part, double median, double least, double most) {}
}
