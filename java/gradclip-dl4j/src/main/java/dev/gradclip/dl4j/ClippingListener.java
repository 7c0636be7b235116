// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.dl4j;

import dev.gradclip.ClipEvent;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.RuleHistory;
import dev.gradclip.adapter.StepClipper;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.jspecify.annotations.Nullable;

/**
 * Clips the gradients of a {@code MultiLayerNetwork} or {@code ComputationGraph} in place, after the backward pass and
 * before the updater; over all layers, where DL4J's own {@code gradientNormalization} looks at one at a time.
 *
 * <p>Thresholds are those of the mean gradient over the minibatch, which the updater gets: at the time of the clip DL4J
 * has not yet divided by the number of examples, so the threshold is multiplied by it. The running mean and variance of
 * batch normalisation are neither measured nor clipped.
 *
 * <pre>{@code
 * network.addListeners(new ClippingListener(ClipRule.globalNorm(1.0)));
 * network.fit(data);
 * }</pre>
 */
public final class ClippingListener extends BaseTrainingListener {
    private final ClipRule rule;
    private final StepClipper clippers;
    private boolean units;
    private int divisor = 1;
    private @Nullable GradientClipper clipper;
    private @Nullable ClipResult latest;
    private double norm = Double.NaN;

    /** Clips by a rule. */
    public ClippingListener(ClipRule rule) {
        this(rule, settings -> {});
    }

    /**
     * Clips by a rule, with a listener, threads of this library's own, another backend. A listener is told of norms of
     * the mean gradient; steps are counted from 0 again for another network.
     *
     * <pre>{@code
     * new ClippingListener(ClipRule.globalNorm(1.0), settings -> settings.listener(history).threads(1))
     * }</pre>
     *
     * @throws IllegalArgumentException if a setting can't be
     */
    public ClippingListener(ClipRule rule, Consumer<GradientClipperBuilder> settings) {
        this.rule = Objects.requireNonNull(rule, "rule");
        clippers = new StepClipper(() -> GradientClipper.builder().openMpThreads("libnd4jcpu.so"), settings)
                .tell(this::ofTheMean);
    }

    /**
     * Binds the units of each parameter as rows, and every parameter's weights beside its gradient: for {@code
     * ClipRule.adaptive} and {@code ClipRule.perRowNorm}. Units are the outputs of a layer, which DL4J keeps along the
     * slowest dimension: columns of a dense or recurrent layer's matrix, kernels of a convolution. An array with one
     * dimension above 1, as a bias, is one unit.
     *
     * <pre>{@code
     * network.addListeners(new ClippingListener(ClipRule.adaptive(0.01)).units());
     * }</pre>
     */
    public synchronized ClippingListener units() {
        units = true;
        return this;
    }

    private ClipEvent ofTheMean(ClipEvent sum) {
        Map<String, Double> tensorNorms = new LinkedHashMap<>();
        sum.tensorNorms().forEach((name, ofSum) -> tensorNorms.put(name, ofSum / divisor));
        return new ClipEvent(
                sum.step(),
                sum.globalNorm() / divisor,
                sum.coefficient(),
                sum.clipped(),
                sum.nonFinite(),
                sum.groupNorms(),
                tensorNorms,
                rule,
                sum.skipped(),
                sum.threshold() / divisor);
    }

    /**
     * Clips; DL4J calls it.
     *
     * @throws IllegalArgumentException if the model is of another class, or naming a gradient that can't be clipped
     *     where it is
     * @throws dev.gradclip.NonFiniteGradientException under the policy ERROR; nothing was changed
     */
    @Override
    public synchronized void onGradientCalculation(Model model) {
        Dl4jGradients gradients = Dl4jGradients.of(model);
        divisor = gradients.divisor();
        GradientClipper clipper = units
                ? clippers.bind(gradients.names(), gradients.buffers(), gradients.weights(model), gradients.units())
                : clippers.bind(gradients.names(), gradients.buffers());
        this.clipper = clipper;
        ClipResult result = clipper.clip(rule.times(divisor));
        latest = result;
        norm = result.globalNorm() / divisor;
    }

    /**
     * What a rule with a {@link dev.gradclip.History} remembers, to be saved and loaded after the first step: {@link
     * GradientClipper#history}. Its norms are those of the sum over the minibatch, so a restart takes minibatches of
     * the same size.
     *
     * @throws IllegalArgumentException if the rule has no history
     * @throws IllegalStateException before the first step
     */
    public synchronized RuleHistory history() {
        GradientClipper now = clipper;
        if (now == null) {
            throw new IllegalStateException("a history is kept by the names and types of gradients, which are known"
                    + " from the first step on; train one step before");
        }
        return now.history(rule.times(divisor));
    }

    /** The norm of the latest mean gradient before clipping; NaN before the first, and where the rule measures none. */
    public synchronized double globalNorm() {
        return norm;
    }

    /** The result of the latest clip; null before the first. Its norms are those of the sum over the minibatch. */
    public synchronized @Nullable ClipResult latest() {
        return latest;
    }
}
