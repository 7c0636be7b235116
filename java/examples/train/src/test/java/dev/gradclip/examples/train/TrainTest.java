// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class TrainTest {
    @Test
    void parametersAreThoseOfResNet50() {
        assertEquals(161, ResNet50.parameters().size());
        assertEquals(
                25_557_032,
                ResNet50.parameters().stream()
                        .mapToInt(ResNet50.Parameter::length)
                        .sum());
    }

    @Test
    void bothWaysOfClippingFindTheSameNormAndLeaveTheSameGradients() throws Exception {
        Model ours = new Model(3, 5);
        Model theirs = new Model(3, 5);
        try (Clipping gradclip = new GradclipClipping(ours, Backend.preferred(), 2);
                Clipping loop = new LoopClipping()) {
            for (int step = 0; step < 2; step++) {
                double expected = step(theirs, loop, step);
                assertEquals(expected, step(ours, gradclip, step), 1e-6 * expected);
                float[] a = ours.gradient(160);
                float[] b = theirs.gradient(160);
                assertTrue(a != null && b != null);
                for (int i = 0; i < a.length; i++) assertEquals(b[i], a[i], 1e-5f * Math.abs(b[i]));
            }
        }
    }

    private static double step(Model model, Clipping clipping, int step) {
        model.zeroGrad();
        model.backward(step);
        clipping.collect(model);
        clipping.rebind();
        return clipping.clip(1);
    }

    @Test
    void printsARowForEachCaseAndWay() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        assertEquals(0, new CommandLine(new Train(out)).execute("--steps", "2", "--warmup", "1"));
        String text = bytes.toString(StandardCharsets.UTF_8);
        assertTrue(text.contains("| bites | gradclip JAVA |"), text);
        assertTrue(text.contains("| does not bite | a loop in Java"), text);
    }
}
