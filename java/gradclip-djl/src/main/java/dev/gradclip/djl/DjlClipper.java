// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.djl;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.training.Trainer;
import ai.djl.util.PairList;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.Clipper;
import dev.gradclip.CudaStream;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormType;
import dev.gradclip.RuleHistory;
import dev.gradclip.Update;
import dev.gradclip.UpdateState;
import dev.gradclip.adapter.OneThread;
import dev.gradclip.adapter.StepClipper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Clips the gradients of a DJL model on PyTorch in place, between the gradient collector's {@code close()} and {@code
 * Trainer.step()}. Each call finds them anew; frozen parameters and those without a gradient are left out. Nothing is
 * copied.
 *
 * <p>Gradients on the CPU, or on one GPU, where the clip runs behind the backward pass on LibTorch's stream; that path
 * was not checked here, for want of a GPU. One thread at a time: a second one is refused, not queued.
 *
 * <pre>{@code
 * try (DjlClipper clipper = DjlClipper.of(trainer)) {
 *     for (Batch batch : trainer.iterateDataset(data)) {
 *         try (GradientCollector collector = trainer.newGradientCollector()) {
 *             collector.backward(…);
 *         }
 *         ClipResult result = clipper.clipByGlobalNorm(1.0);
 *         trainer.step();
 *         batch.close();
 *     }
 * }
 * }</pre>
 */
public final class DjlClipper implements Clipper, AutoCloseable {
    /** Sets gradients to 0, NaN and infinities too. */
    private static final ClipRule ALL_ZERO = ClipRule.value(0).withNonFinitePolicy(NonFinitePolicy.ZERO);

    private final DjlGradients gradients;
    private final StepClipper clippers;
    private final OneThread use = new OneThread();
    private final NDManager manager;
    private @Nullable NDManager handles;
    private List<@Nullable GradientBuffer> buffers = List.of();
    private List<GradientBuffer> weights = List.of();

    /** True from the first step on: the updates' state is that of a clipper with weights. And where units are bound. */
    private volatile boolean bindsWeights;

    private volatile boolean bindsUnits;

    private DjlClipper(PairList<String, Parameter> parameters, Consumer<GradientClipperBuilder> settings) {
        gradients = new DjlGradients(parameters);
        clippers = new StepClipper(() -> GradientClipper.builder().openMpThreads("libtorch_cpu.so"), settings);
        manager = NDManager.newBaseManager("PyTorch");
    }

    /**
     * Clips all parameters of the model that a trainer trains.
     *
     * @throws IllegalArgumentException if it trains on several devices: then the gradients are not whole before {@code
     *     step()}
     */
    public static DjlClipper of(Trainer trainer) {
        return of(trainer, settings -> {});
    }

    /**
     * Clips as {@link #of(Trainer)} does, with a listener, threads of this library's own, another backend. Steps are
     * counted from 0 again where the gradients' types or lengths changed.
     *
     * <pre>{@code
     * DjlClipper.of(trainer, settings -> settings.listener(history).threads(1))
     * }</pre>
     *
     * @throws IllegalArgumentException as {@link #of(Trainer)}, or if a setting can't be
     */
    public static DjlClipper of(Trainer trainer, Consumer<GradientClipperBuilder> settings) {
        Device[] devices = trainer.getDevices();
        if (devices.length != 1) {
            throw new IllegalArgumentException("the trainer trains on " + Arrays.toString(devices)
                    + "; clipped are gradients on one device: call optDevices(new Device[] {Device.cpu()}) or "
                    + "{Device.gpu()} on the "
                    + "training configuration");
        }
        return of(trainer.getModel().getBlock().getParameters(), settings);
    }

    /** Clips all parameters of a block, whose own arrays are trained. */
    public static DjlClipper of(Block block) {
        return of(block.getParameters());
    }

    /** Clips some parameters; the first name counts of one that is listed twice. */
    public static DjlClipper of(PairList<String, Parameter> parameters) {
        return of(parameters, settings -> {});
    }

    /** Clips some parameters, with settings as {@link #of(Trainer, Consumer)} takes them. */
    public static DjlClipper of(PairList<String, Parameter> parameters, Consumer<GradientClipperBuilder> settings) {
        return new DjlClipper(parameters, settings);
    }

    /**
     * Binds the units of each parameter of two or more dimensions, its leading dimension, as rows, and every parameter's
     * weights beside its gradient: for {@code ClipRule.perRowNorm} and {@code ClipRule.adaptive}. A bias is one unit.
     * It counts from the next call on.
     *
     * <pre>{@code
     * DjlClipper clipper = DjlClipper.of(trainer).units();
     * clipper.clip(ClipRule.adaptive(0.01)); // each step
     * }</pre>
     */
    public DjlClipper units() {
        bindsWeights = true;
        bindsUnits = true;
        return this;
    }

    /** Names in the order given: what a per-tensor index of a result means. */
    public List<String> names() {
        return List.copyOf(gradients.names());
    }

    /**
     * Clips the gradients that are there, in place, by a rule.
     *
     * @throws IllegalArgumentException naming a gradient that can't be clipped where it is (sparse, not contiguous,
     *     integer, beyond 2 GiB on the CPU), or two that share memory; nothing was changed
     * @throws dev.gradclip.BackendUnavailableException if they are on a GPU and the CUDA backend can't run
     * @throws dev.gradclip.NonFiniteGradientException under the policy ERROR; nothing was changed
     * @throws IllegalStateException if the clipper is closed, or a parameter not initialized
     */
    @Override
    public ClipResult clip(ClipRule rule) {
        return onGradients(clipper -> {
            int device = deviceOf(buffers);
            return device < 0 ? clipper.clip(rule) : clipOnDevice(clipper, rule, device);
        });
    }

    /** Clips on LibTorch's stream, behind the backward pass and before what comes next. */
    private static ClipResult clipOnDevice(GradientClipper clipper, ClipRule rule, int device) {
        CudaStream stream = CudaStream.of(TorchAbi.currentStream(device));
        ClipResult result = clipper.clipAsync(rule, stream);
        stream.synchronize();
        // Throws what the clip did.
        result.nonFinite();
        return result;
    }

    /**
     * Updates the parameters with the clipped gradients, instead of {@code Trainer.step()}, and sets the gradients to
     * zero as that does: {@link GradientClipper#step}. The trainer's optimizer is left out. A parameter without a
     * gradient stays as it is. Where the policy SKIP leaves the weights, the gradients are set to zero, too.
     *
     * <pre>{@code
     * collector.backward(loss);
     * clipper.step(Update.adamW(1e-3), ClipRule.globalNorm(1.0));
     * }</pre>
     *
     * @throws IllegalArgumentException as {@link #clip}, or naming a parameter that can't be updated where it is
     * @throws dev.gradclip.NonFiniteGradientException under the policy ERROR; nothing was changed
     * @throws IllegalStateException as {@link #clip}
     */
    public ClipResult step(Update update, ClipRule rule) {
        return onGradients(true, clipper -> {
            Update zeroing = update.zeroingGradients();
            int device = deviceOf(buffers);
            if (device < 0) {
                ClipResult result = clipper.step(zeroing, rule);
                if (result.skipped()) clipper.clip(ALL_ZERO);
                return result;
            }
            CudaStream stream = CudaStream.of(TorchAbi.currentStream(device));
            ClipResult result = clipper.stepAsync(zeroing, rule, stream);
            stream.synchronize();
            // Throws what the step did.
            if (result.skipped()) {
                clipper.clipAsync(ALL_ZERO, stream);
                stream.synchronize();
            }
            return result;
        });
    }

    /**
     * What the clipper remembers for a rule with a {@link dev.gradclip.History}, to be saved and loaded:
     * {@link GradientClipper#history}. To be asked for anew after a step with other gradients than before.
     *
     * @throws IllegalArgumentException if the rule has no history
     */
    public RuleHistory history(ClipRule rule) {
        return onGradients(clipper -> clipper.history(rule));
    }

    /**
     * Writes the state of the updates to a safetensors file: {@link UpdateState#save}. A parameter must have had a
     * gradient.
     *
     * @throws IOException if the file can't be written
     * @throws IllegalStateException if there was no step yet
     */
    public void saveState(Path file) throws IOException {
        state().save(file);
    }

    /**
     * Reads the state of the updates from a file of {@link #saveState}: {@link UpdateState#load}.
     *
     * @throws IOException if the file can't be read or is no state of gradclip
     * @throws IllegalArgumentException naming a parameter that is missing, or has another length or type
     */
    public void loadState(Path file) throws IOException {
        state().load(file);
    }

    private UpdateState state() {
        return onGradients(true, GradientClipper::state);
    }

    @Override
    public double globalNorm(NormType type) {
        return onGradients(clipper -> {
            int device = deviceOf(buffers);
            // A norm runs on the default stream, which LibTorch's others are not ordered with.
            if (device >= 0) CudaStream.of(TorchAbi.currentStream(device)).synchronize();
            return clipper.globalNorm(type);
        });
    }

    /**
     * Asks the engine where the gradients are now. Each verb above does it; alone it is for those who time it, with
     * {@link #rebind} after it. Handles of the gradients are kept until the next call.
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

    private void collectNow() {
        release();
        NDManager now = manager.newSubManager();
        handles = now;
        buffers = gradients.collect(now);
        if (bindsWeights) weights = gradients.collectWeights(now);
    }

    /**
     * Binds a {@link GradientClipper} to what {@link #collect} found: for what has no verb here, as prepared and
     * accumulating clips. It is good until the next backward pass or call of this object, and not to be closed.
     *
     * @throws IllegalArgumentException if two gradients share memory
     * @throws IllegalStateException if nothing was collected
     */
    public GradientClipper rebind() {
        use.acquire();
        try {
            if (handles == null) throw new IllegalStateException("collect() comes before rebind()");
            return bind();
        } finally {
            use.release();
        }
    }

    private GradientClipper bind() {
        if (bindsUnits) return clippers.bind(gradients.names(), buffers, weights, gradients.units());
        return bindsWeights
                ? clippers.bind(gradients.names(), buffers, weights)
                : clippers.bind(gradients.names(), buffers);
    }

    private <T> T onGradients(Function<GradientClipper, T> work) {
        return onGradients(false, work);
    }

    private <T> T onGradients(boolean withWeights, Function<GradientClipper, T> work) {
        use.acquire();
        try {
            if (withWeights) bindsWeights = true;
            collectNow();
            return work.apply(bind());
        } finally {
            // After the work, not before: the handles keep the gradients alive.
            release();
            use.release();
        }
    }

    /** The device that a gradient is on, or -1 where they are on the host. */
    private static int deviceOf(List<? extends @Nullable GradientBuffer> buffers) {
        for (GradientBuffer buffer : buffers) if (buffer instanceof DeviceBuffer onDevice) return onDevice.device();
        return -1;
    }

    private void release() {
        if (handles != null) handles.close();
        handles = null;
        buffers = List.of();
        weights = List.of();
    }

    /** Waits for a call under way on another thread, then refuses further calls. Closing again does nothing. */
    @Override
    public void close() {
        use.close(() -> {
            release();
            clippers.close();
            manager.close();
        });
    }
}
