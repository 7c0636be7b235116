// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.Clipper;
import dev.gradclip.CudaStream;
import dev.gradclip.DeviceNorm;
import dev.gradclip.Exchange;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.NormRule;
import dev.gradclip.NormType;
import dev.gradclip.RuleHistory;
import dev.gradclip.Update;
import dev.gradclip.UpdateState;
import dev.gradclip.adapter.OneThread;
import java.io.IOException;
import java.lang.ref.Reference;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.TensorVector;
import org.jspecify.annotations.Nullable;

/**
 * Clips the gradients of a LibTorch model in place, between {@code backward()} and {@code step()}. Each call finds them
 * anew: those that were freed and allocated elsewhere are found there, those that are absent (frozen, unused, {@code
 * zero_grad()}) are left out. Nothing is copied but for a sparse gradient in which an index occurs twice: {@link #clip}.
 *
 * <p>It keeps to the parameters it was given, as an optimizer does: a parameter that is replaced by another tensor
 * later needs a new clipper. Data, type and device of a parameter may change ({@code module.to(…)}, {@code set_data}).
 *
 * <p>One thread at a time, and not while a backward pass runs: a second thread is refused, not queued.
 *
 * <pre>{@code
 * try (TorchClipper clipper = TorchClipper.of(model)) {
 *     for (…) {
 *         optimizer.zero_grad();
 *         cross_entropy(model.forward(x), y).backward();
 *         ClipResult result = clipper.clipByGlobalNorm(1.0);
 *         optimizer.step();
 *     }
 * }
 * }</pre>
 */
public final class TorchClipper implements Clipper, AutoCloseable {
    private final TorchGradients gradients;
    private final TorchBinding binding;
    private final OneThread use = new OneThread();
    private boolean collected;

    TorchClipper(TorchGradients gradients, @Nullable Backend choice, Supplier<GradientClipperBuilder> settings) {
        this.gradients = gradients;
        binding = new TorchBinding(gradients, choice, settings);
    }

    /** Parameters, backend and threads of a clipper to be. */
    public static TorchClipperBuilder builder() {
        return new TorchClipperBuilder();
    }

    /** Clips all parameters of a module, by their names. */
    public static TorchClipper of(Module module) {
        return builder().add(module).build();
    }

    /** Clips some parameters, which errors call by their place. */
    public static TorchClipper of(TensorVector parameters) {
        return builder().add(parameters).build();
    }

    /**
     * Clips some parameters, by name.
     *
     * @throws IllegalArgumentException if there are not as many names as parameters, or one is there twice
     */
    public static TorchClipper of(TensorVector parameters, List<String> names) {
        if (names.size() != parameters.size()) {
            throw new IllegalArgumentException(
                    "there are " + names.size() + " names for " + parameters.size() + " parameters");
        }
        TorchClipperBuilder builder = builder();
        for (int i = 0; i < names.size(); i++) builder.add(names.get(i), parameters.get(i));
        return builder.build();
    }

    /** Names in the order given: what a per-tensor index of a result means. */
    public List<String> names() {
        return gradients.names();
    }

    // ---- clip -------------------------------------------------------------------------------------------------------

    /**
     * Clips the gradients that are there, in place, by a rule; complete on return.
     *
     * <p>Of a sparse gradient (COO) the values are clipped. Where an index occurs twice the values are summands of an
     * element, so the gradient is first replaced by {@code coalesce()} of it.
     *
     * @throws IllegalArgumentException naming a gradient that can't be clipped where it is (a view with gaps, not of a
     *     floating-point type, sparse in another layout), or two that share memory or are on different devices; nothing was changed
     * @throws dev.gradclip.NonFiniteGradientException under the policy ERROR; nothing was changed
     * @throws IllegalStateException if the clipper is closed, or in use by another thread
     */
    @Override
    public ClipResult clip(ClipRule rule) {
        return onGradients(clipper -> {
            if (onHost()) return clipper.clip(rule);
            CudaStream stream = TorchCuda.currentStream(gradients.place);
            ClipResult result = clipper.clipAsync(rule, stream);
            stream.synchronize();
            // Throws what the clip did.
            result.nonFinite();
            return result;
        });
    }

    /** Enqueues a clip by {@link ClipRule#globalNorm}: {@link #clipAsync}. */
    public ClipResult clipByGlobalNormAsync(double maxNorm) {
        return clipAsync(ClipRule.globalNorm(maxNorm));
    }

    /**
     * Clips as {@link #clip} does; on a CUDA device the clip is only enqueued on LibTorch's current stream, behind the
     * backward pass and before what comes next, and nothing waits. On the CPU it is complete on return.
     */
    public ClipResult clipAsync(ClipRule rule) {
        return onGradients(clipper ->
                onHost() ? clipper.clip(rule) : clipper.clipAsync(rule, TorchCuda.currentStream(gradients.place)));
    }

    /**
     * Updates the parameters with the clipped gradients, between {@code backward()} and the next forward pass, instead
     * of {@code optimizer.step()}: {@link GradientClipper#step}. Gradients stay as they are; a parameter whose gradient
     * is absent stays too. LibTorch's graph is not told of the write, as under {@code NoGradGuard} it is not: call it
     * once the backward pass is done.
     *
     * <pre>{@code
     * loss.backward();
     * clipper.step(Update.adamW(1e-3), ClipRule.globalNorm(1.0));
     * }</pre>
     *
     * @throws IllegalArgumentException as {@link #clip}, or naming a parameter that lies in memory in another order
     *     than its gradient
     * @throws dev.gradclip.NonFiniteGradientException under the policy ERROR; nothing was changed
     * @throws IllegalStateException if the clipper is closed, or in use by another thread
     */
    public ClipResult step(Update update, ClipRule rule) {
        return onWeights(clipper -> {
            if (onHost()) return clipper.step(update, rule);
            CudaStream stream = TorchCuda.currentStream(gradients.place);
            ClipResult result = clipper.stepAsync(update, rule, stream);
            stream.synchronize();
            // Throws what the step did.
            result.nonFinite();
            return result;
        });
    }

    /**
     * Updates as {@link #step} does; on a CUDA device the step is only enqueued on LibTorch's current stream, and
     * nothing waits. On the CPU it is complete on return.
     */
    public ClipResult stepAsync(Update update, ClipRule rule) {
        return onWeights(clipper -> onHost()
                ? clipper.step(update, rule)
                : clipper.stepAsync(update, rule, TorchCuda.currentStream(gradients.place)));
    }

    /**
     * Writes the state of the updates to a safetensors file: {@link UpdateState#save}.
     *
     * @throws IOException if the file can't be written
     * @throws IllegalStateException if there was no step yet
     */
    public void saveState(Path file) throws IOException {
        clipperOfSteps().state().save(file);
    }

    /**
     * Reads the state of the updates from a file of {@link #saveState}: {@link UpdateState#load}. Gradients need not be
     * there yet.
     *
     * @throws IOException if the file can't be read or is no state of gradclip
     * @throws IllegalArgumentException naming a parameter that is missing, or has another length or type
     */
    public void loadState(Path file) throws IOException {
        clipperOfSteps().state().load(file);
    }

    /**
     * What the clipper remembers for a rule with a {@link dev.gradclip.History}, to be saved and loaded:
     * {@link GradientClipper#history}. Gradients need not be there yet. To be asked for anew after a step with other
     * gradients than before.
     *
     * <pre>{@code
     * clipper.history(ClipRule.zClip()).save(Path.of("clip.safetensors"));
     * }</pre>
     *
     * @throws IllegalArgumentException if the rule has no history
     */
    public RuleHistory history(ClipRule rule) {
        return onGradients(clipper -> clipper.history(rule));
    }

    private GradientClipper clipperOfSteps() {
        use.acquire();
        try {
            collectNow(true);
            return binding.bind();
        } finally {
            use.release();
        }
    }

    private <T> T onWeights(Function<GradientClipper, T> work) {
        return onGradients(work, true);
    }

    /**
     * Clips by one norm over all ranks: {@link GradientClipper#clip(ClipRule, Exchange)}. What a parameter is of the
     * whole, {@link TorchClipperBuilder#shard}, {@link TorchClipperBuilder#replica} and
     * {@link TorchClipperBuilder#replicated} say.
     *
     * <pre>{@code
     * loss.backward();
     * clipper.clip(ClipRule.globalNorm(1.0), exchange);
     * }</pre>
     *
     * @throws IllegalArgumentException as {@link #clip(ClipRule)}; the other ranks are told
     * @throws dev.gradclip.RankMismatchException if the ranks do not hold every parameter exactly once; nothing was
     *     changed on any rank
     * @throws dev.gradclip.ExchangeException if a rank does not answer
     * @throws dev.gradclip.NonFiniteGradientException under the policy ERROR; nothing was changed on any rank
     */
    public ClipResult clip(ClipRule rule, Exchange exchange) {
        return overRanks(exchange, false, clipper -> clipper.clip(rule, exchange));
    }

    /**
     * Updates this rank's parameters with gradients that are clipped by one norm over all ranks:
     * {@link GradientClipper#step(Update, ClipRule, Exchange)}. LibTorch is not told of the write, as by {@link #step}.
     *
     * <pre>{@code
     * loss.backward();
     * clipper.step(Update.adamW(1e-3), ClipRule.globalNorm(1.0), exchange);
     * }</pre>
     *
     * @throws IllegalArgumentException as {@link #step(Update, ClipRule)}; the other ranks are told
     * @throws dev.gradclip.RankMismatchException if the ranks do not hold every parameter exactly once; nothing was
     *     changed on any rank
     * @throws dev.gradclip.ExchangeException if a rank does not answer
     * @throws dev.gradclip.NonFiniteGradientException under the policy ERROR; nothing was changed on any rank
     */
    public ClipResult step(Update update, ClipRule rule, Exchange exchange) {
        return overRanks(exchange, true, clipper -> clipper.step(update, rule, exchange));
    }

    private ClipResult overRanks(Exchange exchange, boolean weights, Function<GradientClipper, ClipResult> work) {
        use.acquire();
        try {
            GradientClipper clipper = exchange.orTell(() -> {
                collectNow(weights);
                waitForBackward();
                return binding.bind();
            });
            return work.apply(clipper);
        } finally {
            use.release();
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Clips by one L2 norm over all ranks on CUDA devices, without the host: this rank measures, the group adds up the
     * ranks' squares, and each rank scales by the root, all enqueued on LibTorch's current stream. The group is NCCL's.
     * Unlike {@link #clip(ClipRule, Exchange)} this checks nothing: each element must be on one rank alone, and the last
     * bits follow NCCL's order of additions. Under SKIP a NaN on one rank leaves the gradients of all.
     *
     * <p>Compiled here, not run, for want of a GPU: {@code TorchCudaTest} has it.
     *
     * <pre>{@code
     * ProcessGroupNCCL group = new ProcessGroupNCCL(store, rank, size);
     * clipper.clipAsync(ClipRule.globalNorm(1.0), group);
     * }</pre>
     *
     * @throws IllegalArgumentException as {@link #clip(ClipRule)}, or if the norm is not L2, the scope not ALL, the policy
     *     ZERO, or the gradients on the CPU
     * @throws IllegalStateException if the clipper is closed, or in use by another thread
     */
    public ClipResult clipAsync(NormRule rule, org.bytedeco.pytorch.Backend group) {
        if (!rule.normType().equals(NormType.L2)) {
            throw new IllegalArgumentException(
                    "ranks add up squares, which are those of L2, but the rule measures " + rule.normType());
        }
        return onGradients(clipper -> {
            if (onHost()) {
                throw new IllegalArgumentException(
                        "the gradients are on the CPU; clip them by clip(rule, exchange), with TorchExchange.gloo");
            }
            CudaStream stream = TorchCuda.currentStream(gradients.place);
            clipper.decideAsync(rule, stream);
            TorchCuda.addUp(group, clipper.squaredNormAddress(), gradients.place);
            return clipper.clipWithNormAsync(rule, DeviceNorm.squaredAt(clipper.squaredNormAddress()), stream);
        });
    }

    /** Scales by a norm that the caller has: {@link GradientClipper#clipWithNorm(double, double)}. */
    public ClipResult clipWithNorm(double maxNorm, double globalNorm) {
        return onGradients(clipper -> {
            waitForBackward();
            return clipper.clipWithNorm(maxNorm, globalNorm);
        });
    }

    @Override
    public double globalNorm(NormType type) {
        return onGradients(clipper -> {
            waitForBackward();
            return clipper.globalNorm(type);
        });
    }

    // ---- the parts of a call ----------------------------------------------------------------------------------------

    /**
     * Asks LibTorch where the gradients are now. Each verb above does it; alone it is for those who time it, with
     * {@link #rebind} after it.
     *
     * @throws IllegalArgumentException as {@link #clip}
     */
    public void collect() {
        use.acquire();
        try {
            collectNow();
        } finally {
            use.release();
        }
    }

    /**
     * Binds a {@link GradientClipper} to what {@link #collect} found: for what has no verb here, as prepared and
     * accumulating clips. It is good until the next {@code backward()}, {@code zero_grad()} or call of this object, and
     * not to be closed.
     *
     * @throws IllegalArgumentException if two gradients share memory
     * @throws IllegalStateException if nothing was collected
     */
    public GradientClipper rebind() {
        use.acquire();
        try {
            if (!collected) throw new IllegalStateException("collect() comes before rebind()");
            return binding.bind();
        } finally {
            use.release();
        }
    }

    private void collectNow() {
        collectNow(false);
    }

    /** Finds the gradients; with weights from here on, unless one of these can't be bound. */
    private void collectNow(boolean weights) {
        collected = false;
        boolean bound = gradients.bindsWeights;
        if (weights) gradients.bindWeights();
        try {
            gradients.collect();
        } catch (RuntimeException e) {
            gradients.bindsWeights = bound;
            throw e;
        }
        collected = true;
    }

    private boolean onHost() {
        return gradients.place == TorchGradients.HOST;
    }

    /** Waits for LibTorch's stream before work on the default stream, which LibTorch's others are not ordered with. */
    private void waitForBackward() {
        if (!onHost()) TorchCuda.currentStream(gradients.place).synchronize();
    }

    private <T> T onGradients(Function<GradientClipper, T> work) {
        return onGradients(work, false);
    }

    private <T> T onGradients(Function<GradientClipper, T> work, boolean weights) {
        use.acquire();
        try {
            collectNow(weights);
            return work.apply(binding.bind());
        } finally {
            use.release();
            // The handles keep the gradients alive, and this object keeps the handles.
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Waits for a call under way on another thread, then refuses further calls and lets go of the parameters. Closing
     * again does nothing.
     */
    @Override
    public void close() {
        use.close(() -> {
            try {
                binding.close();
            } finally {
                gradients.close();
            }
        });
    }
}
