// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.tensorflow;

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
 * Trains a small graph on data that is far too large for it, and prints the norms before and after each clip; {@code
 * --time}.
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
        try (SmallGraph model = new SmallGraph(64);
                TensorFlowClipper clipper =
                        TensorFlowClipper.of(model.graph, model.optimizer.computeGradients(model.loss))) {
            Op train = model.optimizer.applyGradients(clipper.gradients(), "train");
            model.initialize();
            for (int step = 0; step < 10; step++) {
                try (ClippedGradients clipped =
                        clipper.clipByGlobalNorm(model.onExamples().fetch(model.loss), 1.0)) {
                    System.out.printf(
                            Locale.ROOT,
                            "step %d: loss %.3f, norm %.3f before and %.3f after%n",
                            step,
                            ((TFloat32) clipped.fetched().get(0)).getFloat(),
                            clipped.result().globalNorm(),
                            norm(clipped.fetched()));
                    clipped.feed(model.runner()).addTarget(train).run().close();
                }
            }
        }
    }

    /** The norm of all that was fetched after the loss. */
    private static double norm(Result fetched) {
        GradientClipperBuilder builder = GradientClipper.builder();
        for (int i = 1; i < fetched.size(); i++) builder.add(TensorFlowBuffers.wrap(fetched.get(i)));
        try (GradientClipper clipper = builder.build()) {
            return clipper.globalNorm();
        }
    }
}
