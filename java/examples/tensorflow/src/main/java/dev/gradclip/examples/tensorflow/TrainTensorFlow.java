// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.tensorflow;

import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.tensorflow.ClippedGradients;
import dev.gradclip.tensorflow.TensorFlowBuffers;
import dev.gradclip.tensorflow.TensorFlowClipper;
import java.util.Locale;
import org.tensorflow.Result;
import org.tensorflow.op.Op;
import org.tensorflow.types.TFloat32;

/**
 * Trains a small graph on data that is far too large for it, and prints the norms before and after each clip. {@code
 * --adaptive} compares the norm of each unit with that of its weights (AGC); {@code --time} times clips.
 */
public final class TrainTensorFlow {
    private TrainTensorFlow() {}

    /** The program. */
    public static void main(String[] args) {
        if (args.length == 1 && args[0].equals("--time")) {
            TimeTensorFlow.print(64);
            TimeTensorFlow.print(1024);
            return;
        }
        boolean adaptive = args.length == 1 && args[0].equals("--adaptive");
        if (args.length > 0 && !adaptive) throw new IllegalArgumentException("give --adaptive, --time or nothing");
        try (SmallGraph model = new SmallGraph(64);
                TensorFlowClipper clipper =
                        TensorFlowClipper.of(model.graph, model.optimizer.computeGradients(model.loss))) {
            if (adaptive) clipper.units();
            ClipRule rule = adaptive ? ClipRule.adaptive(0.01) : ClipRule.globalNorm(1.0);
            Op train = model.optimizer.applyGradients(clipper.gradients(), "train");
            model.initialize();
            for (int step = 0; step < 10; step++) {
                try (ClippedGradients clipped = clipper.clip(model.onExamples().fetch(model.loss), rule)) {
                    System.out.printf(
                            Locale.ROOT,
                            "step %d: loss %.3f, norm %.3f before and %.3f after%n",
                            step,
                            ((TFloat32) clipped.fetched().get(0)).getFloat(),
                            clipped.result().globalNorm(),
                            norm(clipped.fetched(), clipper.names().size()));
                    clipped.feed(model.runner()).addTarget(train).run().close();
                }
            }
        }
    }

    /** The norm of the gradients, which were fetched last. */
    private static double norm(Result fetched, int gradients) {
        GradientClipperBuilder builder = GradientClipper.builder();
        for (int i = fetched.size() - gradients; i < fetched.size(); i++)
            builder.add(TensorFlowBuffers.wrap(fetched.get(i)));
        try (GradientClipper clipper = builder.build()) {
            return clipper.globalNorm();
        }
    }
}
