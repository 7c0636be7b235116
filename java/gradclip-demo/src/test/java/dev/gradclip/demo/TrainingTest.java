// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class TrainingTest {
    static Stream<Backend> backends() {
        return Stream.of(Backend.JAVA, Backend.NATIVE).filter(Backend::isAvailable);
    }

    private static Network network() {
        return new TanhRnn(TemporalOrder.SYMBOLS, 12, TemporalOrder.CLASSES, 20, 8, 0.4, new Random(3));
    }

    private static double norm(Network network) {
        double sum = 0;
        for (Parameter parameter : network.parameters()) {
            for (float g : parameter.gradient()) sum += (double) g * g;
        }
        return Math.sqrt(sum);
    }

    private static double largest(Network network) {
        double largest = 0;
        for (Parameter parameter : network.parameters()) {
            for (float g : parameter.gradient()) largest = Math.max(largest, Math.abs(g));
        }
        return largest;
    }

    /** The gradients after a step are those that were applied: as they came, or within the threshold. */
    @ParameterizedTest
    @MethodSource("backends")
    void clipsOrLeavesAlone(Backend backend) {
        List<Example> batch = new TemporalOrder(20, new Random(4)).batch(8);
        for (Clipping clipping :
                List.of(Clipping.NONE, Clipping.norm(0.05), Clipping.value(0.01), Clipping.norm(1e6))) {
            Network raw = network();
            raw.forward(batch);
            raw.backward();
            double norm = norm(raw);
            double largest = largest(raw);
            assertTrue(norm > 0.1 && largest > 0.02, norm + " " + largest);
            Network network = network();
            try (Training training = new Training(network, clipping, 0, backend)) {
                training.step(batch);
                assertEquals(norm, training.trace().norms()[0], 1e-6 * norm, "the norm before clipping");
                boolean bites =
                        clipping.name().equals("norm 0.05") || clipping.name().equals("value 0.01");
                assertEquals(bites ? 1 : 0, training.trace().clipped(), clipping.name());
                if (!bites) assertEquals(norm, norm(network), 0, clipping.name());
            }
            if (clipping.name().equals("norm 0.05")) assertEquals(0.05, norm(network), 1e-5);
            if (clipping.name().equals("value 0.01")) assertEquals(0.01, largest(network), 1e-8);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void noClippedNormIsAboveTheThreshold(Backend backend) {
        Network network = network();
        TemporalOrder problem = new TemporalOrder(20, new Random(4));
        int below = 0;
        try (Training training = new Training(network, Clipping.norm(0.6), 0.3, backend)) {
            for (int step = 0; step < 300; step++) {
                training.step(problem.batch(8));
                assertTrue(norm(network) <= 0.6 * (1 + 1e-6), "step " + step + ": " + norm(network));
                if (training.trace().norms()[step] < 0.6) below++;
            }
            assertEquals(300, training.trace().clipped() + below);
            assertTrue(below > 0 && below < 300, "both cases are to be seen, but " + below + " of 300 were below");
        }
    }

    /** One bit of difference would grow: this learning rate is on the verge of chaos. */
    @ParameterizedTest
    @MethodSource("backends")
    void sameBitsOnEveryBackend(Backend backend) {
        for (Clipping clipping : List.of(Clipping.norm(0.3), Clipping.value(0.01), Clipping.NONE)) {
            assertArrayEquals(losses(clipping, Backend.JAVA), losses(clipping, backend), 0, clipping.name());
        }
    }

    private static double[] losses(Clipping clipping, Backend backend) {
        TemporalOrder problem = new TemporalOrder(20, new Random(4));
        try (Training training = new Training(network(), clipping, 2, backend)) {
            for (int step = 0; step < 200; step++) training.step(problem.batch(8));
            return training.trace().losses();
        }
    }

    /** Losses that have become NaN are told as such, by every figure. */
    @ParameterizedTest
    @MethodSource("backends")
    void nanIsTold(Backend backend) {
        Network network = network();
        network.parameters().get(0).values()[2][0] = Float.NaN;
        try (Training training = new Training(network, Clipping.norm(1), 1, backend)) {
            training.step(new TemporalOrder(20, new Random(4)).batch(8));
            assertTrue(Double.isNaN(training.trace().finalLoss()));
            assertTrue(Double.isNaN(training.trace().largestNorm()));
        }
    }

    /** Without clipping the digits go wrong at this rate, with clipping they do not; a tenth of the steps shows it. */
    @ParameterizedTest
    @MethodSource("backends")
    void clippingHelps(Backend backend) throws Exception {
        DemoPlan plan = new DemoPlan(1, 15, backend, 2, true, false, null, null);
        List<DigitsResult.Run> runs = new ArrayList<>(resultOf(plan).runs());
        assertTrue(runs.get(0).accuracy() < 0.5, runs.get(0).accuracy() + " without clipping");
        assertTrue(runs.get(1).accuracy() > 0.8, runs.get(1).accuracy() + " by value");
        assertTrue(runs.get(2).accuracy() > 0.8, runs.get(2).accuracy() + " by norm");
    }

    private static DigitsResult resultOf(DemoPlan plan) throws Exception {
        DigitsResult digits = new Demo(plan).run(done -> {}).digits();
        if (digits == null) throw new AssertionError("no digits");
        return digits;
    }
}
