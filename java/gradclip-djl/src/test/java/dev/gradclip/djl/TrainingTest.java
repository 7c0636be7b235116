// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.EasyTrain;
import ai.djl.training.Trainer;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import dev.gradclip.ClipEvent;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.Update;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** A model trains a few steps; what counts is the norm that the optimizer saw. */
class TrainingTest {
    private static final double MAX_NORM = 0.05;

    /** Plain descent that notes the norm of each step, over its four gradients. */
    private static final class Observed extends Optimizer {
        private final List<Double> norms = new ArrayList<>();
        private double sum;
        private int gradients;

        Observed() {
            super(new Builder());
        }

        private static final class Builder extends OptimizerBuilder<Builder> {
            @Override
            protected Builder self() {
                return this;
            }
        }

        @Override
        public void update(String parameterId, NDArray weight, NDArray grad) {
            double norm = Djl.norm(grad);
            sum += norm * norm;
            if (++gradients == 4) {
                norms.add(Math.sqrt(sum));
                sum = 0;
                gradients = 0;
            }
            weight.subi(grad.mul(0.01f));
        }
    }

    private static List<Double> train(ClippingListener... listeners) throws Exception {
        Observed seen = new Observed();
        DefaultTrainingConfig config = Djl.config(seen);
        config.addTrainingListeners(listeners);
        try (Model model = Djl.model();
                NDManager manager = NDManager.newBaseManager("PyTorch");
                Trainer trainer = Djl.trainer(model, config)) {
            EasyTrain.fit(trainer, 1, Djl.data(manager), null);
        }
        return seen.norms;
    }

    @Test
    void easyTrainClipsThroughTheListener() throws Exception {
        List<Double> without = train();
        assertEquals(4, without.size());
        for (double norm : without) assertTrue(norm > 2 * MAX_NORM, "nothing to clip: " + without);
        List<ClipEvent> heard = new ArrayList<>();
        ClippingListener listener =
                new ClippingListener(ClipRule.globalNorm(MAX_NORM), settings -> settings.listener(heard::add));
        List<Double> with = train(listener);
        assertEquals(4, with.size());
        for (double norm : with) assertEquals(MAX_NORM, norm, 1e-6, with.toString());
        ClipResult latest = Objects.requireNonNull(listener.latest());
        assertEquals(4, latest.tensors());
        assertTrue(latest.clipped());
        assertEquals(4, heard.size());
        for (ClipEvent event : heard)
            assertTrue(event.clipped() && event.globalNorm() > 2 * MAX_NORM, heard.toString());
        assertEquals(latest.globalNorm(), heard.get(3).globalNorm());
        train(listener); // another trainer
        assertEquals(
                List.of(0L, 1L, 2L, 3L, 0L, 1L, 2L, 3L),
                heard.stream().map(ClipEvent::step).toList());
    }

    /** Unclipped, a step of plain descent leaves what DJL's optimizer leaves. */
    @Test
    void aStepIsThatOfDjlsOptimizer() {
        try (Model model = Djl.model();
                Model own = Djl.model();
                NDManager manager = NDManager.newBaseManager("PyTorch");
                Trainer trainer = Djl.trainer(
                        model,
                        Djl.config(Optimizer.sgd()
                                .setLearningRateTracker(Tracker.fixed(0.01f))
                                .build()));
                Trainer stepped = Djl.trainer(own, Djl.config(new Observed()));
                DjlClipper clipper = DjlClipper.of(stepped)) {
            for (int i = 0; i < 4; i++) {
                NDArray from = model.getBlock().getParameters().valueAt(i).getArray();
                from.copyTo(own.getBlock().getParameters().valueAt(i).getArray());
            }
            for (int step = 0; step < 5; step++) {
                manager.getEngine().setRandomSeed(step);
                Djl.backward(trainer, manager);
                trainer.step();
                manager.getEngine().setRandomSeed(step);
                Djl.backward(stepped, manager);
                clipper.step(Update.sgd(0.01), ClipRule.globalNorm(1e9));
            }
            for (int i = 0; i < 4; i++) {
                float[] expected =
                        model.getBlock().getParameters().valueAt(i).getArray().toFloatArray();
                float[] found =
                        own.getBlock().getParameters().valueAt(i).getArray().toFloatArray();
                assertArrayEquals(expected, found, 1e-4f);
            }
        }
    }

    @Test
    void oneLineInALoopOfOnesOwn() {
        Observed seen = new Observed();
        try (Model model = Djl.model();
                NDManager manager = NDManager.newBaseManager("PyTorch");
                Trainer trainer = Djl.trainer(model, Djl.config(seen));
                DjlClipper clipper = DjlClipper.of(trainer)) {
            for (int step = 0; step < 3; step++) {
                Djl.backward(trainer, manager);
                double norm = Djl.norm(model.getBlock().getParameters());
                assertEquals(norm, clipper.clipByGlobalNorm(MAX_NORM).globalNorm(), 1e-6 * norm);
                trainer.step();
            }
        }
        assertEquals(3, seen.norms.size());
        for (double norm : seen.norms) assertEquals(MAX_NORM, norm, 1e-6, seen.norms.toString());
    }
}
