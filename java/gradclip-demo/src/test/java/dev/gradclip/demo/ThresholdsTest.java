// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipRule;
import dev.gradclip.Scope;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.api.Test;

class ThresholdsTest {
    private static final double FEW_STEPS = 0.3;

    @Test
    void eachRuleTrainsInEachWayAndTheSameOnEveryBackend() throws IOException {
        LongAdder trainings = new LongAdder();
        List<Thresholds.Row> rows = new Thresholds(1, FEW_STEPS, Backend.JAVA).rows(trainings::add);
        assertEquals(Thresholds.trainings(), trainings.sum());
        assertEquals(
                Thresholds.clippings(),
                rows.stream().map(Thresholds.Row::clipping).toList());
        for (Thresholds.Row row : rows) {
            assertEquals(Thresholds.settings().size(), row.accuracies().size());
            for (double accuracy : row.accuracies()) assertTrue(accuracy >= 0 && accuracy <= 1, row::toString);
        }
        if (!Backend.NATIVE.isAvailable()) return;
        assertEquals(rows, new Thresholds(1, FEW_STEPS, Backend.NATIVE).rows(done -> {}));
    }

    @Test
    void normsHaveFaults() throws IOException {
        double[] norms = new Thresholds(1, 14, Backend.JAVA).norms();
        assertEquals(311, norms.length);
        double[] sorted = norms.clone();
        Arrays.sort(sorted);
        double[] faulty = {norms[149], norms[299]};
        Arrays.sort(faulty);
        assertArrayEquals(Arrays.copyOfRange(sorted, 309, 311), faulty);
        assertTrue(faulty[0] > 10 * sorted[308], faulty[0] + " and " + sorted[308]);
    }

    @Test
    void thresholdsAreThoseOfTheRule() {
        double[] norms = {4, 1, 3, 2};
        assertArrayEquals(
                new double[] {4, 2.5, 3, 2.5}, Thresholds.over(norms, ClipRule.autoClip(50)), "medians so far");
        assertArrayEquals(
                new double[] {Double.POSITIVE_INFINITY, 4.04, 1.01, 1.0201},
                Thresholds.over(norms, ClipRule.growthCap().withScope(Scope.ALL)),
                1e-7);
    }

    @Test
    void faultsComeInTheirPeriod() {
        Random random = new Random(3);
        Network network = new TanhRnn(TemporalOrder.SYMBOLS, 12, TemporalOrder.CLASSES, 20, 8, 0.4, random);
        Network faulty = new FaultyNetwork(network, 3);
        List<Example> batch = new TemporalOrder(20, random).batch(8);
        network.forward(batch);
        network.backward();
        float[] right = network.parameters().get(0).gradient().clone();
        float[] wrong = right.clone();
        for (int i = 0; i < wrong.length; i++) wrong[i] *= FaultyNetwork.FACTOR;
        for (int pass = 1; pass <= 6; pass++) {
            faulty.forward(batch);
            faulty.backward();
            assertArrayEquals(
                    pass % 3 == 0 ? wrong : right, faulty.parameters().get(0).gradient(), "pass " + pass);
        }
    }
}
