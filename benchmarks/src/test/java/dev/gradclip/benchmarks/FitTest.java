// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.measure.Case;
import dev.gradclip.measure.Times;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class FitTest {
    @Test
    void aLineIsFound() {
        Fit fit = Fit.of(List.of(new Fit.Point(1, 7), new Fit.Point(1000, 2005), new Fit.Point(1e9, 2e9 + 5)));
        assertEquals(5, fit.start(), 1e-9);
        assertEquals(2, fit.slope(), 1e-12);
        assertEquals(0, fit.residual(), 1e-9);
        assertEquals(25, fit.at(10), 1e-9);
    }

    /** The fit of y = 1 and y = 2 at one x is 1.2, which has the least sum of (v - 1)² + (v / 2 - 1)². */
    @Test
    void relativeErrorsCount() {
        Fit fit = Fit.of(List.of(new Fit.Point(0, 1), new Fit.Point(0, 2), new Fit.Point(1, 1), new Fit.Point(1, 2)));
        assertEquals(1.2, fit.start(), 1e-12);
        assertEquals(0, fit.slope(), 1e-12);
        assertEquals(Math.sqrt((0.2 * 0.2 + 0.4 * 0.4) / 2), fit.residual(), 1e-12);
    }

    @Test
    void cachedAndUncachedSizesApart() {
        List<Model> models =
                Model.ofSizes(List.of(size(1 << 10), size(1 << 20), size(1 << 22), size(1 << 24), size(1 << 26)));
        assertEquals(
                List.of("norm, all sizes", "norm, up to 4 MiB", "norm, from 64 MiB"),
                models.stream().map(Model::name).toList());
        assertEquals(
                List.of(4e0 * (1 << 10), 4e0 * (1 << 10), 4e0 * (1 << 24)),
                models.stream().map(Model::from).toList());
    }

    private static Scaling.Size size(long elements) {
        return new Scaling.Size(elements, Case.NORM, new Times(1, 1, 1, 1));
    }

    @Test
    void threadsUpToTheProcessorsAndOneMore() {
        assertEquals(Set.of(1, 2), ScalingRuns.workers(1));
        assertEquals(Set.of(1, 2, 3), ScalingRuns.workers(2));
        assertEquals(Set.of(1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 96, 97), ScalingRuns.workers(96));
        assertTrue(ScalingRuns.workers(64).contains(65));
    }
}
