// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.djl;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.LambdaBlock;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.nn.recurrent.LSTM;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.GradientCollector;
import ai.djl.training.Trainer;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import dev.gradclip.ClipRule;
import dev.gradclip.Update;
import dev.gradclip.demo.Batch;
import dev.gradclip.demo.Framework;
import dev.gradclip.demo.FrameworkNetwork;
import dev.gradclip.djl.DjlClipper;
import org.jspecify.annotations.Nullable;

/** The digits of {@code gradclip demo --framework djl}: DJL's LSTM on PyTorch, clipped by {@link DjlClipper}. */
public final class DjlDigits implements Framework {
    private static final int UNITS = 32;
    private static final float LEARNING_RATE = 20;
    private static final Update UPDATE = Update.sgd(LEARNING_RATE);

    @Override
    public String name() {
        return "djl";
    }

    @Override
    public String model() {
        return "an LSTM of DJL on PyTorch reads images row by row";
    }

    @Override
    public double learningRate() {
        return LEARNING_RATE;
    }

    @Override
    public int stepsASecond() {
        return 230;
    }

    @Override
    public FrameworkNetwork network(int rows, int columns, int classes, @Nullable ClipRule rule, long seed) {
        System.setProperty("OPT_OUT_TRACKING", "true");
        Engine.getEngine("PyTorch").setRandomSeed((int) seed);
        return new Network(rows, columns, classes, rule);
    }

    private static final class Network implements FrameworkNetwork {
        private final Model model = Model.newInstance("digits", "PyTorch");
        private final Trainer trainer;
        private final DjlClipper clipper;
        private final @Nullable ClipRule rule;

        Network(int rows, int columns, int classes, @Nullable ClipRule rule) {
            model.setBlock(new SequentialBlock()
                    .add(LSTM.builder()
                            .setStateSize(UNITS)
                            .setNumLayers(1)
                            .optBatchFirst(true)
                            .build())
                    .add(LambdaBlock.singleton(states -> states.get(":, -1, :")))
                    .add(Linear.builder().setUnits(classes).build()));
            trainer = model.newTrainer(new DefaultTrainingConfig(Loss.softmaxCrossEntropyLoss())
                    .optDevices(new Device[] {Device.cpu()})
                    .optOptimizer(Optimizer.sgd()
                            .setLearningRateTracker(Tracker.fixed(LEARNING_RATE))
                            .build()));
            trainer.initialize(new Shape(1, rows, columns));
            clipper = DjlClipper.of(trainer);
            this.rule = rule;
        }

        private static NDList images(NDManager manager, Batch batch) {
            return new NDList(manager.create(batch.pixels(), new Shape(batch.size(), batch.rows(), batch.columns())));
        }

        @Override
        public Step step(Batch batch) {
            try (NDManager manager = trainer.getManager().newSubManager()) {
                double loss = backward(manager, batch);
                double norm = clipper.globalNorm();
                boolean clipped = false;
                if (rule == null) trainer.step();
                else clipped = clipper.step(UPDATE, rule).clipped();
                return new Step(loss, norm, clipped);
            }
        }

        private double backward(NDManager manager, Batch batch) {
            try (GradientCollector collector = trainer.newGradientCollector()) {
                NDArray labels = manager.create(batch.labels()).toType(DataType.FLOAT32, false);
                NDArray loss = trainer.getLoss().evaluate(new NDList(labels), trainer.forward(images(manager, batch)));
                collector.backward(loss);
                return loss.getFloat();
            }
        }

        @Override
        public int errors(Batch batch) {
            try (NDManager manager = trainer.getManager().newSubManager()) {
                long[] told = trainer.evaluate(images(manager, batch))
                        .singletonOrThrow()
                        .argMax(1)
                        .toLongArray();
                int errors = 0;
                for (int i = 0; i < told.length; i++) if (told[i] != batch.labels()[i]) errors++;
                return errors;
            }
        }

        @Override
        public void close() {
            clipper.close();
            trainer.close();
            model.close();
        }
    }
}
