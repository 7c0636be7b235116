// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The backward passes against differences of the forward passes. */
class GradientCheckTest {
    /** Rounding of a float loss asks for a wide step, and that for small weights. */
    private static final float STEP = 0.01f;

    private static final double TOLERANCE = 2e-3;

    private static List<Example> sequences(int count, int steps, int inputs, int classes, Random random) {
        List<Example> examples = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            float[][] rows = new float[steps][inputs];
            for (float[] row : rows) for (int j = 0; j < inputs; j++) row[j] = (float) random.nextGaussian();
            examples.add(new Example(rows, random.nextInt(classes)));
        }
        return examples;
    }

    private static void check(Network network, List<Example> batch) {
        network.forward(batch);
        network.backward();
        double largest = 0;
        for (Parameter parameter : network.parameters()) {
            int at = 0;
            for (float[] row : parameter.values()) {
                for (int j = 0; j < row.length; j++) {
                    float before = row[j];
                    row[j] = before + STEP;
                    double above = network.forward(batch);
                    row[j] = before - STEP;
                    double below = network.forward(batch);
                    row[j] = before;
                    double expected = (above - below) / (2 * STEP);
                    double found = parameter.gradient()[at++];
                    largest = Math.max(largest, Math.abs(expected));
                    assertEquals(
                            expected, found, TOLERANCE * Math.max(1, Math.abs(expected)), parameter.name() + " " + j);
                }
            }
            assertEquals(parameter.gradient().length, at);
        }
        assertTrue(largest > 0.1, "the gradients are too small to tell anything: " + largest);
    }

    @Test
    void tanhRnn() {
        Random random = new Random(1);
        // 7 and 5 leave a rest of the products that go four at a time.
        check(new TanhRnn(7, 5, 3, 6, 9, 0.5, random), sequences(9, 6, 7, 3, random));
    }

    @Test
    void lstm() {
        Random random = new Random(2);
        check(new Lstm(7, 5, 3, 6, 9, random), sequences(9, 6, 7, 3, random));
    }

    @Test
    void smallerBatchThanRoomFor() {
        Random random = new Random(3);
        Network lstm = new Lstm(4, 3, 2, 3, 8, random);
        lstm.forward(sequences(8, 3, 4, 2, random));
        lstm.backward();
        check(lstm, sequences(5, 3, 4, 2, random));
        Network rnn = new TanhRnn(4, 3, 2, 3, 8, 0.5, random);
        rnn.forward(sequences(8, 3, 4, 2, random));
        rnn.backward();
        check(rnn, sequences(5, 3, 4, 2, random));
    }

    @Test
    void descentLowersTheLoss() {
        Random random = new Random(4);
        for (Network network : List.of(new Lstm(4, 6, 3, 5, 10, random), new TanhRnn(4, 6, 3, 5, 10, 0.5, random))) {
            List<Example> batch = sequences(10, 5, 4, 3, random);
            double before = network.forward(batch);
            for (int step = 0; step < 100; step++) {
                network.forward(batch);
                network.backward();
                for (Parameter parameter : network.parameters()) parameter.descend(0.3f);
            }
            double after = network.forward(batch);
            assertTrue(after < before / 2, before + " to " + after);
            assertTrue(network.errors() <= 2);
        }
    }

    @Test
    void tanhAndLogistic() {
        for (double x = -30; x <= 30; x += 0.001) {
            float[] z = {(float) x, (float) x};
            Activation.tanh(z, 0, 1);
            Activation.logistic(z, 1, 2);
            assertEquals(StrictMath.tanh((float) x), z[0], 2e-7);
            assertEquals(1 / (1 + StrictMath.exp(-(float) x)), z[1], 2e-7);
        }
        float[] odd = {Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN, -0f};
        Activation.tanh(odd, 0, 4);
        assertEquals(1, odd[0], 2e-7);
        assertEquals(-1, odd[1], 2e-7);
        assertTrue(Float.isNaN(odd[2]));
        assertEquals(0, odd[3], 0);
    }

    /** By hand: two logits of 0 give ln 2, one that overflows gives NaN, which is an error and no answer. */
    @Test
    void lossAndErrors() {
        OutputLayer output = new OutputLayer(1, 2, 2, 0, new Random(5));
        List<Example> batch = List.of(new Example(new float[0][], 0), new Example(new float[0][], 1));
        assertEquals(Math.log(2), output.forward(new float[][] {{1}, {1}}, batch), 1e-12);
        assertEquals(1, output.errors());
        assertTrue(Double.isNaN(output.forward(new float[][] {{Float.NaN}, {1}}, batch)));
        assertEquals(2, output.errors());
    }
}
