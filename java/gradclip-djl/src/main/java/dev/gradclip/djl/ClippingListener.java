// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.djl;

import ai.djl.training.Trainer;
import ai.djl.training.listener.TrainingListenerAdapter;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.adapter.StepClipper;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Clips in {@code onTrainingBatch}, which {@code EasyTrain} calls after the backward pass and before {@code
 * Trainer.step()}. A listener for one trainer at a time; it lets go of it when the trainer is closed.
 *
 * <pre>{@code
 * new DefaultTrainingConfig(loss).addTrainingListeners(new ClippingListener(ClipRule.globalNorm(1.0)))
 * }</pre>
 */
public final class ClippingListener extends TrainingListenerAdapter {
    private final ClipRule rule;
    private final Consumer<GradientClipperBuilder> settings;
    private @Nullable DjlClipper clipper;
    private @Nullable Trainer trained;
    private @Nullable ClipResult latest;
    private boolean units;

    /** Clips by a rule. */
    public ClippingListener(ClipRule rule) {
        this(rule, settings -> {});
    }

    /**
     * Clips by a rule, with settings as {@link DjlClipper#of(Trainer, Consumer)} has them.
     *
     * @throws IllegalArgumentException if a setting can't be
     */
    public ClippingListener(ClipRule rule, Consumer<GradientClipperBuilder> settings) {
        this.rule = Objects.requireNonNull(rule, "rule");
        this.settings = settings;
        StepClipper.check(settings);
    }

    /** Binds units and weights from the next trainer on: {@link DjlClipper#units}. */
    public ClippingListener units() {
        units = true;
        return this;
    }

    /** The result of the latest clip; null before the first. */
    public @Nullable ClipResult latest() {
        return latest;
    }

    @Override
    public void onTrainingBatch(Trainer trainer, BatchData batchData) {
        DjlClipper now = clipper;
        if (now == null || trained != trainer) {
            close();
            now = DjlClipper.of(trainer, settings);
            if (units) now.units();
            clipper = now;
            trained = trainer;
        }
        latest = now.clip(rule);
    }

    @Override
    public void onTrainingEnd(Trainer trainer) {
        if (trained == trainer) close();
    }

    private void close() {
        if (clipper != null) clipper.close();
        clipper = null;
        trained = null;
    }
}
