// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.djl;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.GradientCollector;
import ai.djl.training.Trainer;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import dev.gradclip.ClipResult;
import dev.gradclip.djl.DjlClipper;
import java.util.Locale;

/**
 * Trains a small model on data that is far too large for it, and prints the norms before and after each clip; {@code
 * --time}.
 */
public final class TrainDjl {
    static final int EXAMPLES = 32;

    private TrainDjl() {}

    /** The program. */
    public static void main(String[] args) {
        System.setProperty("OPT_OUT_TRACKING", "true");
        if (args.length == 1 && args[0].equals("--time")) {
            TimeDjl.print(64);
            TimeDjl.print(1024);
            return;
        }
        try (Model model = model(64);
                Trainer trainer = trainer(model, 64);
                DjlClipper clipper = DjlClipper.of(trainer)) {
            for (int step = 0; step < 10; step++) {
                float loss = backward(trainer, 64);
                ClipResult result = clipper.clipByGlobalNorm(1.0);
                System.out.printf(
                        Locale.ROOT,
                        "step %d: loss %.3f, norm %.3f before and %.3f after%n",
                        step,
                        loss,
                        result.globalNorm(),
                        clipper.globalNorm());
                trainer.step();
            }
        }
    }

    static Model model(int units) {
        SequentialBlock block = new SequentialBlock();
        for (int layer = 0; layer < 3; layer++) {
            block.add(Linear.builder().setUnits(units).build()).add(Activation::relu);
        }
        Model model = Model.newInstance("small", "PyTorch");
        model.setBlock(block.add(Linear.builder().setUnits(10).build()));
        return model;
    }

    static Trainer trainer(Model model, int inputs) {
        Trainer trainer = model.newTrainer(new DefaultTrainingConfig(Loss.softmaxCrossEntropyLoss())
                .optDevices(new Device[] {Device.cpu()})
                .optOptimizer(Optimizer.sgd()
                        .setLearningRateTracker(Tracker.fixed(0.05f))
                        .build()));
        trainer.initialize(new Shape(EXAMPLES, inputs));
        return trainer;
    }

    /** A forward and a backward pass over the same examples each time; the loss. */
    static float backward(Trainer trainer, int inputs) {
        try (NDManager manager = trainer.getManager().newSubManager();
                GradientCollector collector = trainer.newGradientCollector()) {
            NDArray x = manager.arange((float) EXAMPLES * inputs).sin().mul(100).reshape(EXAMPLES, inputs);
            NDArray y = manager.arange(EXAMPLES).toType(DataType.FLOAT32, true).mod(10);
            NDArray loss = trainer.getLoss().evaluate(new NDList(y), trainer.forward(new NDList(x)));
            collector.backward(loss);
            return loss.getFloat();
        }
    }
}
