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
import dev.gradclip.CudaStream;
import dev.gradclip.GradientBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import dev.gradclip.adapter.StepClipper;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Clips the gradients of a DJL model on PyTorch in place, between the gradient collector's {@code close()} and {@code
 * Trainer.step()}. Each call finds them anew; frozen parameters and those without a gradient are left out. Nothing is copied.
 *
 * <p>Gradients on the CPU, or on one GPU, where the clip runs behind the backward pass on LibTorch's stream; that path was not checked here, for
 * want of a GPU. Calls from several threads run one after the other.
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
public final class DjlClipper implements AutoCloseable {
    private final DjlGradients gradients;
    private final StepClipper binding;
    private final DjlDeviceBinding deviceBinding;
    private final NDManager manager;
    private @Nullable NDManager handles;
    private List<@Nullable GradientBuffer> buffers = List.of();
    private boolean closed;

    private DjlClipper(PairList<String, Parameter> parameters, Consumer<GradientClipperBuilder> settings) {
        gradients = new DjlGradients(parameters);
        binding = new StepClipper(() -> GradientClipper.builder().openMpThreads("libtorch_cpu.so"), settings);
        deviceBinding = new DjlDeviceBinding(settings);
        manager = NDManager.newBaseManager("PyTorch");
    }

    /**
     * For all parameters of the model that a trainer trains.
     *
     * @throws IllegalArgumentException if it trains on several devices: then the gradients are not whole before {@code step()}
     */
    public static DjlClipper of(Trainer trainer) {
        return of(trainer, settings -> {});
    }

    /**
     * As {@link #of(Trainer)}, with a listener, threads of this library's own, another backend. Steps are counted from 0 again where
     * the gradients' types or lengths changed.
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
                    + "; clipped are gradients on one device: call optDevices(new Device[] {Device.cpu()}) or {Device.gpu()} on the "
                    + "training configuration");
        }
        return of(trainer.getModel().getBlock().getParameters(), settings);
    }

    /** For all parameters of a block, whose own arrays are what is trained. */
    public static DjlClipper of(Block block) {
        return of(block.getParameters());
    }

    /** For some parameters; of one that is listed twice the first name counts. */
    public static DjlClipper of(PairList<String, Parameter> parameters) {
        return of(parameters, settings -> {});
    }

    /** For some parameters, with settings as {@link #of(Trainer, Consumer)} has them. */
    public static DjlClipper of(PairList<String, Parameter> parameters, Consumer<GradientClipperBuilder> settings) {
        return new DjlClipper(parameters, settings);
    }

    /** Names in the order given: what a per-tensor index of a result means. */
    public List<String> names() {
        return List.copyOf(gradients.names());
    }

    /** As {@link #clip} with {@link ClipRule#globalNorm}. */
    public ClipResult clipByGlobalNorm(double maxNorm) {
        return clip(ClipRule.globalNorm(maxNorm));
    }

    /** As {@link #clip} with {@link ClipRule#perTensorNorm}. */
    public ClipResult clipPerTensorNorm(double maxNorm) {
        return clip(ClipRule.perTensorNorm(maxNorm));
    }

    /** As {@link #clip} with {@link ClipRule#value(double)}. */
    public ClipResult clipByValue(double limit) {
        return clip(ClipRule.value(limit));
    }

    /**
     * Clips the gradients that are there, in place, by a rule.
     *
     * @throws IllegalArgumentException naming a gradient that can't be clipped where it is (sparse, not contiguous, integer,
     *     beyond 2 GiB on the CPU), or two that share memory; nothing was changed
     * @throws dev.gradclip.BackendUnavailableException if they are on a GPU and the CUDA backend can't run
     * @throws dev.gradclip.NonFiniteGradientException under the policy ERROR; nothing was changed
     * @throws IllegalStateException if the clipper is closed, or a parameter not initialized
     */
    public ClipResult clip(ClipRule rule) {
        return onGradients(clipper -> {
            int device = DjlDeviceBinding.deviceOf(buffers);
            return device < 0 ? clipper.clip(rule) : clipOnDevice(clipper, rule, device);
        });
    }

    /** Behind what computed them, and before what comes next. */
    private static ClipResult clipOnDevice(GradientClipper clipper, ClipRule rule, int device) {
        CudaStream stream = CudaStream.of(TorchAbi.currentStream(device));
        ClipResult result = clipper.clipAsync(rule, stream);
        stream.synchronize();
        // Throws what the clip did.
        result.nonFinite();
        return result;
    }

    /** The L2 norm over all gradients that are there; nothing is written. */
    public double globalNorm() {
        return onGradients(clipper -> {
            int device = DjlDeviceBinding.deviceOf(buffers);
            // A norm runs on the default stream, which LibTorch's others are not ordered with.
            if (device >= 0) CudaStream.of(TorchAbi.currentStream(device)).synchronize();
            return clipper.globalNorm();
        });
    }

    /**
     * Asks the engine where the gradients are now. Each verb above does it; alone it is for those who time it, with {@link #rebind}
     * after it. Handles of the gradients are kept until the next call.
     *
     * @throws IllegalArgumentException as {@link #clip}
     */
    public synchronized void collect() {
        if (closed) throw new IllegalStateException("the clipper is closed");
        release();
        NDManager now = manager.newSubManager();
        handles = now;
        buffers = gradients.collect(now);
    }

    /**
     * Binds a {@link GradientClipper} to what {@link #collect} found: for what has no verb here, as prepared and accumulating clips.
     * It is good until the next backward pass or call of this object, and not to be closed.
     *
     * @throws IllegalArgumentException if two gradients share memory
     * @throws IllegalStateException if nothing was collected
     */
    public synchronized GradientClipper rebind() {
        if (handles == null) throw new IllegalStateException("collect() comes before rebind()");
        if (DjlDeviceBinding.deviceOf(buffers) >= 0) return deviceBinding.bind(gradients.names(), buffers);
        return binding.bind(gradients.names(), onHost(buffers));
    }

    private static List<@Nullable HostBuffer> onHost(List<? extends @Nullable GradientBuffer> buffers) {
        List<@Nullable HostBuffer> hosts = new ArrayList<>(buffers.size());
        for (GradientBuffer buffer : buffers) hosts.add((HostBuffer) buffer);
        return hosts;
    }

    private synchronized <T> T onGradients(Function<GradientClipper, T> work) {
        try {
            collect();
            return work.apply(rebind());
        } finally {
            // After the work, not before: the handles keep the gradients alive.
            release();
        }
    }

    private void release() {
        if (handles != null) handles.close();
        handles = null;
        buffers = List.of();
    }

    /** Refuses further calls. Closing again does nothing. */
    @Override
    public synchronized void close() {
        closed = true;
        release();
        binding.close();
        deviceBinding.close();
        manager.close();
    }
}
