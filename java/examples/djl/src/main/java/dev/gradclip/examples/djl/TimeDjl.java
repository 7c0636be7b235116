// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.djl;

import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.training.Trainer;
import dev.gradclip.GradientClipper;
import dev.gradclip.djl.DjlClipper;
import dev.gradclip.examples.timing.StepTimer;
import dev.gradclip.examples.timing.StepTimer.Part;
import java.util.List;

/** Times what a clip that scales adds to a step, beside what DJL's users write. */
final class TimeDjl {
    private TimeDjl() {}

    static void print(int units) {
        try (Model model = TrainDjl.model(units);
                Trainer trainer = TrainDjl.trainer(model, units);
                DjlClipper clipper = DjlClipper.of(trainer);
                // Of its own, for what it keeps its next collect() lets go of.
                DjlClipper apart = DjlClipper.of(trainer)) {
            TrainDjl.backward(trainer, units);
            List<NDArray> gradients = model.getBlock().getParameters().stream()
                    .map(parameter -> parameter.getValue().getArray().getGradient())
                    .toList();
            double maxNorm = clipper.globalNorm();
            Runnable grow = () -> gradients.forEach(gradient -> gradient.muli(2));
            GradientClipper[] bound = new GradientClipper[1];
            new StepTimer()
                    .add("gradclip: one call", grow, () -> clipper.clipByGlobalNorm(maxNorm))
                    .add(
                            "gradclip: in three",
                            grow,
                            new Part("collect", apart::collect),
                            new Part("rebind", () -> bound[0] = apart.rebind()),
                            new Part("clip", () -> bound[0].clipByGlobalNorm(maxNorm)))
                    .add("DJL: norm() and muli() of each array", grow, () -> clip(model, maxNorm))
                    .print(
                            StepTimer.size(
                                    gradients.stream().mapToLong(NDArray::size).toArray()),
                            9);
            gradients.forEach(NDArray::close);
        }
    }

    private static void clip(Model model, double maxNorm) {
        List<NDArray> gradients = model.getBlock().getParameters().stream()
                .map(parameter -> parameter.getValue().getArray().getGradient())
                .toList();
        double sum = 0;
        for (NDArray gradient : gradients) {
            try (NDArray norm = gradient.norm()) {
                float one = norm.getFloat();
                sum += (double) one * one;
            }
        }
        double coefficient = maxNorm / (Math.sqrt(sum) + 1e-6);
        for (NDArray gradient : gradients) {
            if (coefficient < 1) gradient.muli((float) coefficient);
            gradient.close();
        }
    }
}
