// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.GradientBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;
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

    /** A clip in place and then a loop over the weights, which a step takes the place of. */
    private static final class ClipThenDescend implements AutoCloseable {
        private final Network network = network();
        private final Clipping clipping;
        private final float rate;
        private final GradientClipper clipper;

        ClipThenDescend(Clipping clipping, double rate) {
            this.clipping = clipping;
            this.rate = (float) rate;
            clipper = GradientClipper.of(network.parameters().stream()
                    .map(parameter -> HostBuffer.wrap(parameter.gradient()))
                    .toArray(GradientBuffer[]::new));
        }

        double step(List<Example> batch) {
            double loss = network.forward(batch);
            network.backward();
            if (clipping.rule() != null) clipper.clip(clipping.rule());
            for (Parameter parameter : network.parameters()) parameter.descend(rate);
            return loss;
        }

        @Override
        public void close() {
            clipper.close();
        }
    }

    private static float[][] weights(Network network) {
        return network.parameters().stream()
                .flatMap(parameter -> Stream.of(parameter.values()))
                .map(float[]::clone)
                .toArray(float[][]::new);
    }

    /** The gradients, one row for each parameter. */
    private static float[][] gradients(Network network) {
        return network.parameters().stream().map(Parameter::gradient).toArray(float[][]::new);
    }

    /** What a step took from the weights, by the learning rate. */
    private static float[][] applied(float[][] before, Network network, double rate) {
        float[][] after = weights(network);
        for (int i = 0; i < after.length; i++) {
            for (int j = 0; j < after[i].length; j++) {
                after[i][j] = (float) (((double) before[i][j] - after[i][j]) / rate);
            }
        }
        return after;
    }

    private static double norm(float[][] rows) {
        double sum = 0;
        for (float[] row : rows) for (float g : row) sum += (double) g * g;
        return Math.sqrt(sum);
    }

    private static double largest(float[][] rows) {
        double largest = 0;
        for (float[] row : rows) for (float g : row) largest = Math.max(largest, Math.abs(g));
        return largest;
    }

    /** The gradients that a step applies are those that came, or within the threshold; those that came stay. */
    @ParameterizedTest
    @MethodSource("backends")
    void clipsOrLeavesAlone(Backend backend) {
        // The weights are far smaller than such steps, so that these have a gradient's digits.
        double rate = 1 << 20;
        List<Example> batch = new TemporalOrder(20, new Random(4)).batch(8);
        for (Clipping clipping :
                List.of(Clipping.NONE, Clipping.norm(0.05), Clipping.value(0.01), Clipping.norm(1e6))) {
            Network raw = network();
            raw.forward(batch);
            raw.backward();
            double norm = norm(gradients(raw));
            assertTrue(norm > 0.1 && largest(gradients(raw)) > 0.02, "norm " + norm);
            Network network = network();
            float[][] before = weights(network);
            try (Training training = new Training(network, clipping, rate, backend)) {
                training.step(batch);
                assertEquals(norm, training.trace().norms()[0], 1e-6 * norm, "the norm before clipping");
                boolean bites =
                        clipping.name().equals("norm 0.05") || clipping.name().equals("value 0.01");
                assertEquals(bites ? 1 : 0, training.trace().clipped(), clipping.name());
                assertArrayEquals(gradients(raw), gradients(network), clipping.name());
                if (!bites) assertEquals(norm, norm(applied(before, network, rate)), 1e-6 * norm, clipping.name());
            }
            if (clipping.name().equals("norm 0.05")) assertEquals(0.05, norm(applied(before, network, rate)), 1e-5);
            if (clipping.name().equals("value 0.01")) assertEquals(0.01, largest(applied(before, network, rate)), 1e-8);
        }
    }

    /** Step by step, the weights are those that gradients within the threshold lead to. */
    @ParameterizedTest
    @MethodSource("backends")
    void noClippedNormIsAboveTheThreshold(Backend backend) {
        Network network = network();
        TemporalOrder problem = new TemporalOrder(20, new Random(4));
        int below = 0;
        try (Training training = new Training(network, Clipping.norm(0.6), 0.3, backend);
                ClipThenDescend inTwo = new ClipThenDescend(Clipping.norm(0.6), 0.3)) {
            for (int step = 0; step < 300; step++) {
                List<Example> batch = problem.batch(8);
                training.step(batch);
                inTwo.step(batch);
                double clipped = norm(gradients(inTwo.network));
                assertTrue(clipped <= 0.6 * (1 + 1e-6), "step " + step + ": " + clipped);
                assertArrayEquals(weights(inTwo.network), weights(network), "step " + step);
                if (training.trace().norms()[step] < 0.6) below++;
            }
            assertEquals(300, training.trace().clipped() + below);
            assertTrue(below > 0 && below < 300, "both cases are to be seen, but " + below + " of 300 were below");
        }
    }

    /** The update in the clip leaves the losses of a clip and then an update, to the bit. */
    @ParameterizedTest
    @MethodSource("backends")
    void sameLossesAsClipAndThenUpdate(Backend backend) {
        for (Clipping clipping : List.of(Clipping.norm(0.3), Clipping.value(0.01))) {
            for (double rate : new double[] {0.1, 2}) {
                TemporalOrder problem = new TemporalOrder(20, new Random(4));
                TemporalOrder again = new TemporalOrder(20, new Random(4));
                double[] inTwo = new double[200];
                try (Training training = new Training(network(), clipping, rate, backend);
                        ClipThenDescend other = new ClipThenDescend(clipping, rate)) {
                    for (int step = 0; step < inTwo.length; step++) {
                        training.step(problem.batch(8));
                        inTwo[step] = other.step(again.batch(8));
                    }
                    assertArrayEquals(inTwo, training.trace().losses(), clipping.name() + ", rate " + rate);
                    assertTrue(training.trace().clipped() > 0, clipping.name());
                }
            }
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
        DemoPlan plan = new DemoPlan(1, 15, backend, 2, true, false, null, null, null);
        List<DigitsResult.Run> runs = new ArrayList<>(resultOf(plan).runs());
        assertTrue(runs.get(0).accuracy() < 0.5, runs.get(0).accuracy() + " without clipping");
        assertTrue(runs.get(1).accuracy() > 0.8, runs.get(1).accuracy() + " by value");
        assertTrue(runs.get(2).accuracy() > 0.8, runs.get(2).accuracy() + " by norm");
        assertTrue(runs.get(3).accuracy() < 0.6, runs.get(3).accuracy() + " by a norm that is too wide");
        assertTrue(runs.get(4).accuracy() > 0.8, runs.get(4).accuracy() + " by a threshold that was found");
    }

    private static DigitsResult resultOf(DemoPlan plan) throws Exception {
        DigitsResult digits = new Demo(plan).run(done -> {}).digits();
        if (digits == null) throw new AssertionError("no digits");
        return digits;
    }
}
