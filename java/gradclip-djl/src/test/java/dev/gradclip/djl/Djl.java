// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.djl;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.Parameter;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.GradientCollector;
import ai.djl.training.Trainer;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.initializer.NormalInitializer;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.util.Pair;
import ai.djl.util.PairList;

/** A small model, its data, and what tests do with arrays. */
final class Djl {
    private Djl() {}

    static Model model() {
        SequentialBlock block = new SequentialBlock()
                .add(Linear.builder().setUnits(16).build())
                .add(Activation::relu)
                .add(Linear.builder().setUnits(3).build());
        Model model = Model.newInstance("small", "PyTorch");
        block.setInitializer(new NormalInitializer(1f), Parameter.Type.WEIGHT);
        model.setBlock(block);
        return model;
    }

    static DefaultTrainingConfig config(Optimizer optimizer) {
        return new DefaultTrainingConfig(Loss.softmaxCrossEntropyLoss())
                .optDevices(new Device[] {Device.cpu()})
                .optOptimizer(optimizer);
    }

    static Trainer trainer(Model model, DefaultTrainingConfig config) {
        Trainer trainer = model.newTrainer(config);
        trainer.initialize(new Shape(8, 4));
        return trainer;
    }

    static ArrayDataset data(NDManager manager) {
        return new ArrayDataset.Builder()
                .setData(manager.randomNormal(new Shape(32, 4)).mul(10))
                .optLabels(manager.arange(32).toType(DataType.FLOAT32, true).mod(3))
                .setSampling(8, false)
                .build();
    }

    static void backward(Trainer trainer, NDManager manager) {
        try (GradientCollector collector = trainer.newGradientCollector()) {
            NDArray x = manager.randomNormal(new Shape(8, 4)).mul(10);
            NDArray y = manager.arange(8).toType(DataType.FLOAT32, true).mod(3);
            NDList predictions = trainer.forward(new NDList(x));
            collector.backward(trainer.getLoss().evaluate(new NDList(y), predictions));
        }
    }

    /** A parameter whose gradient is as told: that of the sum of its product with the values. */
    static Parameter parameter(String name, NDArray gradient) {
        Parameter parameter =
                Parameter.builder().setName(name).setType(Parameter.Type.OTHER).build();
        NDArray array = gradient.zerosLike();
        parameter.setArray(array);
        array.setRequiresGradient(true);
        give(parameter, gradient);
        return parameter;
    }

    /** Adds to a parameter's weights, in place. */
    static void move(Parameter parameter, NDArray weights) {
        parameter.getArray().stopGradient().addi(weights);
    }

    /** Adds to the gradient. */
    static void give(Parameter parameter, NDArray gradient) {
        NDManager manager = gradient.getManager();
        try (GradientCollector collector = manager.getEngine().newGradientCollector()) {
            collector.backward(parameter.getArray().mul(gradient).sum());
        }
    }

    static PairList<String, Parameter> list(Parameter... parameters) {
        PairList<String, Parameter> list = new PairList<>();
        for (Parameter parameter : parameters) list.add(parameter.getName(), parameter);
        return list;
    }

    static double norm(PairList<String, Parameter> parameters) {
        double sum = 0;
        for (Pair<String, Parameter> pair : parameters) {
            if (!pair.getValue().requiresGradient()) continue;
            double norm = norm(pair.getValue().getArray().getGradient());
            sum += norm * norm;
        }
        return Math.sqrt(sum);
    }

    static double norm(NDArray array) {
        double sum = 0;
        for (double x : array.toType(DataType.FLOAT64, false).toDoubleArray()) sum += x * x;
        return Math.sqrt(sum);
    }
}
