// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NormHistoryTest {
    private static NormHistory of(int capacity, double... norms) {
        NormHistory history = new NormHistory(capacity);
        for (int i = 0; i < norms.length; i++) {
            history.onClip(new ClipEvent(i, norms[i], 1, false, !Double.isFinite(norms[i]), Map.of()));
        }
        return history;
    }

    @Test
    void keepsTheLast() {
        NormHistory history = of(3, 1, 2);
        assertArrayEquals(new double[] {1, 2}, history.norms());
        history = of(3, 1, 2, 3, 4, 5);
        assertArrayEquals(new double[] {3, 4, 5}, history.norms());
        assertEquals(3, history.size());
    }

    @Test
    void nonFiniteIsCountedAndNotKept() {
        NormHistory history = of(5, 1, Double.NaN, Double.POSITIVE_INFINITY, 2);
        assertArrayEquals(new double[] {1, 2}, history.norms());
        assertEquals(2, history.nonFinite());
        // The report of a value rule has a NaN norm, but does not count as non-finite.
        history.onClip(new ClipEvent(9, Double.NaN, Double.NaN, true, false, Map.of()));
        assertEquals(2, history.nonFinite());
        assertEquals(1.5, history.suggestMaxNorm());
    }

    @Test
    void percentiles() {
        NormHistory history = of(100, 50, 10, 40, 20, 30);
        assertEquals(10, history.percentile(0));
        assertEquals(30, history.percentile(50));
        assertEquals(50, history.percentile(100));
        assertEquals(14, history.percentile(10), 1e-12);
        assertEquals(47.5, history.percentile(93.75), 1e-12);
        assertEquals(7, of(1, 7).percentile(33));
    }

    @Test
    void largeNormsDoNotOverflow() {
        NormHistory history = of(4, Double.MAX_VALUE, Double.MAX_VALUE, Double.MAX_VALUE, Double.MAX_VALUE);
        assertEquals(Double.MAX_VALUE, history.suggestMaxNorm());
        assertEquals(Double.MAX_VALUE, history.percentile(10));
    }

    @Test
    void suggestsTheMean() {
        assertEquals(20, of(10, 10, 20, 30).suggestMaxNorm(), 1e-12);
        assertEquals(0, of(10, 0, 0).suggestMaxNorm());
    }

    @ParameterizedTest
    @ValueSource(doubles = {-1, 100.5, Double.NaN})
    void percentOutOfRange(double percent) {
        assertThrows(IllegalArgumentException.class, () -> of(1, 1).percentile(percent));
    }

    @Test
    void nothingYet() {
        assertThrows(IllegalStateException.class, () -> of(3).suggestMaxNorm());
        assertThrows(IllegalStateException.class, () -> of(3, Double.NaN).percentile(50));
        assertThrows(IllegalArgumentException.class, () -> new NormHistory(0));
    }

    @Test
    void ofAClipper() {
        NormHistory history = new NormHistory(10);
        float[] gradient = {3, 4};
        try (GradientClipper clipper = GradientClipper.builder()
                .add(HostBuffer.wrap(gradient))
                .listener(history)
                .build()) {
            clipper.clipByGlobalNorm(Double.POSITIVE_INFINITY);
            clipper.clipByGlobalNorm(2.5);
            clipper.clipByGlobalNorm(2.5);
        }
        assertEquals(3, history.size());
        assertEquals(12.5 / 3, history.suggestMaxNorm(), 1e-5);
    }
}
