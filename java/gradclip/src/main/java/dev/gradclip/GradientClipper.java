// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.binding.Binding;
import dev.gradclip.internal.binding.DeviceBinding;
import dev.gradclip.internal.binding.HostBinding;
import dev.gradclip.internal.binding.TensorList;
import dev.gradclip.internal.clip.Call;
import dev.gradclip.internal.clip.ClipObserver;
import dev.gradclip.internal.clip.CpuPhases;
import dev.gradclip.internal.clip.CudaPhases;
import dev.gradclip.internal.clip.Figures;
import dev.gradclip.internal.clip.Phases;
import dev.gradclip.internal.cpu.CpuPlan;
import dev.gradclip.internal.cuda.DeviceFigure;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.memory.TensorMemory;
import dev.gradclip.internal.ranks.ContributionFormat;
import dev.gradclip.internal.ranks.RankLayout;
import dev.gradclip.internal.ranks.Verdict;
import dev.gradclip.internal.reduce.SegmentLayout;
import dev.gradclip.internal.resource.LeakGuard;
import dev.gradclip.internal.rule.NamedHistories;
import dev.gradclip.internal.rule.ResolvedRule;
import dev.gradclip.internal.rule.TensorRange;
import dev.gradclip.internal.update.StateForm;
import dev.gradclip.internal.update.UpdateMemory;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReferenceFieldUpdater;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Clips one set of gradient tensors in place, step after step, where they are: on the CPU, or on a CUDA device. Each
 * clip measures, decides and applies, and allocates nothing but its result. It is complete on return, and on a device
 * runs after earlier work on the default stream; an {@code …Async} clip is only enqueued.
 *
 * <p>One thread at a time uses a clipper: a second one is refused, not queued. Different clippers run in parallel.
 *
 * <p>Whatever a call throws (a {@code StackOverflowError}, an {@code OutOfMemoryError}, a failure of an executor), no
 * helper thread still works for it when it ends, and the next call works as ever. The gradients are then unchanged,
 * unless {@link #isPartlyClipped} says that the clip had begun to write: compute them anew in that case.
 *
 * <pre>{@code
 * try (GradientClipper clipper = GradientClipper.builder()
 *         .add("embedding", HostBuffer.wrap(embedding))
 *         .add("head", HostBuffer.wrap(head))
 *         .build()) {
 *     for (int step = 0; step < steps; step++) {
 *         backward();
 *         ClipResult result = clipper.clipByGlobalNorm(1.0);
 *         update();
 *     }
 * }
 * }</pre>
 */
public final class GradientClipper implements Clipper, AutoCloseable {
    private static final AtomicReferenceFieldUpdater<GradientClipper, @Nullable Thread> USER =
            AtomicReferenceFieldUpdater.newUpdater(GradientClipper.class, Thread.class, "user");

    private final Backend backend;
    private final Binding binding;
    private final Phases phases;
    private final ClipObserver observer;
    private final Map<String, TensorRange> groups;
    private final SegmentLayout segments;
    private final LeakGuard leak;
    private final Source source = new Source();

    /** The call in progress, filled anew each time. */
    private final Call call = new Call();

    /** The thread in a call; set to null without a method call, which a thread whose stack is used up can't make. */
    private volatile @Nullable Thread user;

    private final boolean[] accumulated;

    /** The memory that a rebind binds to, while it runs. */
    private final @Nullable TensorMemory[] given;

    /** What this rank holds of every tensor, whether its gradient is present or not. */
    private final RankLayout layout;

    /** The bytes of the latest partial norm, until the gradients may have changed. */
    private byte @Nullable [] contributed;

    private @Nullable NormType accumulatedType;
    private @Nullable ResolvedRule resolved;

    /** The first rule of those that share their histories. */
    private final Map<List<Object>, ResolvedRule> remembering = new HashMap<>();

    /** What a clipper before this one remembered. */
    private final Map<List<Object>, double[]> inherited = new HashMap<>();

    private volatile boolean closing;
    private volatile boolean closed;

    GradientClipper(GradientClipperBuilder builder) {
        backend = builder.resolve();
        groups = builder.groups();
        layout = builder.rankLayout();
        TensorList tensors = builder.tensors();
        if (backend == Backend.CUDA) {
            DeviceBinding devices = new DeviceBinding(tensors, builder.isOfRanks());
            binding = devices;
            phases = orLetGo(devices, () -> new CudaPhases(devices));
        } else {
            HostBinding host = new HostBinding(
                    tensors,
                    new Function<>() {
                        @Override
                        public CpuPlan apply(List<List<Piece>> segmentsOfPieces) {
                            return builder.plan(backend, segmentsOfPieces);
                        }
                    },
                    new Runnable() {
                        @Override
                        public void run() {
                            Backend.NATIVE.require();
                        }
                    });
            binding = host;
            phases = new CpuPhases(host);
        }
        segments = binding.segments();
        try {
            observer = new ClipObserver(phases, segmentsOf(groups), segmentsOfNames(builder), builder.listener());
            accumulated = new boolean[binding.size()];
            given = new TensorMemory[binding.size()];
            leak = builder.watched
                    ? LeakGuard.watch(this, "a GradientClipper of " + binding.size() + " tensors", binding.release())
                    : LeakGuard.unwatched(binding.release());
        } catch (Throwable e) {
            letGo(binding);
            throw e;
        }
    }

    /** Returns null without a listener, who alone asks for it. */
    private @Nullable Supplier<Map<String, TensorRange>> segmentsOfNames(GradientClipperBuilder builder) {
        if (builder.listener() == null) return null;
        // Of a builder that may be used again.
        List<String> names = List.copyOf(builder.names());
        return () -> segmentsOf(names);
    }

    private Map<String, TensorRange> segmentsOf(List<String> names) {
        Map<String, TensorRange> ofTensors = new LinkedHashMap<>();
        for (int i = 0; i < names.size(); i++) ofTensors.put(names.get(i), new TensorRange(i, i + 1));
        return segmentsOf(ofTensors);
    }

    private static Phases orLetGo(Binding binding, Supplier<Phases> made) {
        try {
            return made.get();
        } catch (Throwable e) {
            letGo(binding);
            throw e;
        }
    }

    private static void letGo(Binding binding) {
        try {
            binding.release().run();
        } finally {
            binding.clear();
        }
    }

    /** Converts groups of tensors to groups of segments. */
    private Map<String, TensorRange> segmentsOf(Map<String, TensorRange> ofTensors) {
        Map<String, TensorRange> runs = new LinkedHashMap<>();
        for (Map.Entry<String, TensorRange> entry : ofTensors.entrySet()) {
            TensorRange range = entry.getValue();
            runs.put(entry.getKey(), new TensorRange(segments.from(range.from()), segments.from(range.to())));
        }
        return runs;
    }

    /** Returns a builder, which takes names, groups and buffers. */
    public static GradientClipperBuilder builder() {
        return new GradientClipperBuilder();
    }

    /** Makes a clipper of unnamed tensors, on the best backend for their memory. */
    public static GradientClipper of(GradientBuffer... gradients) {
        GradientClipperBuilder builder = builder();
        for (GradientBuffer gradient : gradients) builder.add(gradient);
        return builder.build();
    }

    /** Makes a clipper of unnamed tensors, each a whole array of FLOAT32. */
    public static GradientClipper of(float[]... gradients) {
        return of(HostBuffer.wrapAll(gradients));
    }

    /** Makes a clipper of unnamed tensors, each a whole array of FLOAT64. */
    public static GradientClipper of(double[]... gradients) {
        return of(HostBuffer.wrapAll(gradients));
    }

    /** Makes a clipper of unnamed tensors of FLOAT32, each from its buffer's position to its limit. */
    public static GradientClipper of(List<FloatBuffer> gradients) {
        return of(HostBuffer.wrapAll(gradients));
    }

    /** The backend that does the work. */
    public Backend backend() {
        return backend;
    }

    /**
     * The rule that clips each row of the {@code K} tensors bound to a norm of {@code maxNorm / √K}, so that the norm of
     * a sample over all tensors is {@code maxNorm} at most (McMahan et al. 2018; Optax {@code
     * per_example_layer_norm_clip}, uniform). A layer is a tensor.
     *
     * <pre>{@code
     * NormRule rule = clipper.perLayerNorm(1.0); // once
     * clipper.clip(rule);
     * }</pre>
     *
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    public NormRule perLayerNorm(double maxNorm) {
        return ClipRule.perRowNorm(maxNorm / Math.sqrt(Math.max(1, binding.size())))
                .withEpsilon(0);
    }

    /**
     * The rule that clips each row of {@code Dᵢ} elements to a norm of {@code maxNorm · √(Dᵢ / D)}, where {@code D} is
     * the number of elements of a sample over all tensors bound (Optax {@code per_example_layer_norm_clip}, not
     * uniform). The threshold of a row is {@code maxNorm / √D} as a root mean square, so this is {@link
     * ClipRule#blockRms} of rows.
     *
     * @throws IllegalArgumentException if maxNorm is negative or NaN
     */
    public NormRule perLayerNormBySize(double maxNorm) {
        double elements = 0;
        for (int i = 0; i < binding.size(); i++) elements += segments.length(i);
        if (!(maxNorm >= 0)) throw new IllegalArgumentException("maxNorm must be 0 or more, but is " + maxNorm);
        return ClipRule.blockRms(maxNorm / Math.sqrt(Math.max(1, elements))).withScope(Scope.ROW);
    }

    /** The names of the tensors in the order bound, by which per-tensor figures are numbered. */
    public List<String> names() {
        return binding.names();
    }

    // ---- clip -------------------------------------------------------------------------------------------------------

    @Override
    public double globalNorm(NormType type) {
        Objects.requireNonNull(type, "type");
        acquire();
        try {
            forgetMeasured();
            return phases.globalNorm(type);
        } finally {
            user = null;
        }
    }

    /**
     * Scales all gradients by {@code min(1, maxNorm / (globalNorm + 1e-6))} with a norm that the caller has, such as
     * one over several processes (TensorFlow's {@code use_norm}). Nothing is measured.
     *
     * @throws IllegalArgumentException if maxNorm is negative or NaN, or globalNorm is negative
     */
    public ClipResult clipWithNorm(double maxNorm, double globalNorm) {
        return clipWithNorm(ClipRule.globalNorm(maxNorm), globalNorm);
    }

    /**
     * Scales as {@link #clipWithNorm(double, double)} does, with the rule's epsilon and policy. ZERO is refused,
     * because the norm would not be that of the elements left.
     *
     * @param globalNorm the norm of the gradients, after unscaling where the rule {@linkplain ClipRule#withInverseScale
     *     unscales}
     * @throws IllegalArgumentException if the norm is negative, the policy is ZERO, or the rule has more than one
     *     coefficient
     */
    public ClipResult clipWithNorm(NormRule rule, double globalNorm) {
        if (globalNorm < 0) throw new IllegalArgumentException("norm must be 0 or more, but is " + globalNorm);
        requireOneCoefficient(rule, "clipWithNorm");
        requireNoZero(rule, "clipWithNorm takes the norm as given");
        return run(Call.Kind.NORM_GIVEN, rule, globalNorm, null, null);
    }

    /**
     * Clips all bound gradients in place by a rule; complete on return.
     *
     * @throws NonFiniteGradientException under the policy ERROR; nothing was changed
     * @throws IllegalStateException if the clipper is closed, in use by another thread, or would write to read-only
     *     memory
     */
    @Override
    public ClipResult clip(ClipRule rule) {
        return run(Call.Kind.CLIP, rule, null);
    }

    /** Clips by a rule that is resolved for this clipper; without a stream the clip is complete on return. */
    ClipResult clip(ResolvedRule rule, @Nullable CudaStream stream) {
        acquire();
        try {
            resolved = rule;
            return run(call.of(Call.Kind.CLIP, rule, 0, null, stream == null ? null : stream.streamHandle));
        } finally {
            user = null;
        }
    }

    private ClipResult run(Call.Kind kind, ClipRule rule, @Nullable CudaStream stream) {
        return run(kind, rule, Double.NaN, null, stream);
    }

    /** Runs a call; its kind says which norm it takes, and without a stream it is complete on return. */
    private ClipResult run(
            Call.Kind kind,
            ClipRule rule,
            double globalNorm,
            @Nullable DeviceNorm deviceNorm,
            @Nullable CudaStream stream) {
        acquire();
        try {
            boolean applies = kind == Call.Kind.APPLY;
            if (!applies) forgetMeasured();
            ResolvedRule known = resolve(rule);
            if (applies) requireMeasured(known.normType);
            return run(call.of(kind, known, globalNorm, deviceNorm, stream == null ? null : stream.streamHandle));
        } finally {
            user = null;
        }
    }

    /** Runs a call on the backend, and returns its figures as a result. */
    private ClipResult run(Call filled) {
        forgetMeasured();
        observer.clip(filled);
        return new ClipResult(filled.figures(), source);
    }

    /**
     * Updates the weights with the clipped gradients: measures, decides, then reads each gradient once more and writes
     * its weights. The gradients stay as they are, unless {@link Update#zeroingGradients} or {@link
     * NonFinitePolicy#ZERO} says otherwise; their weights are those of {@link GradientClipperBuilder#weights}. A
     * gradient that is absent leaves its weights and state, and its step is not counted.
     *
     * <p>In float, the gradient times the coefficient has the bits that {@link #clip} would have written; the update's
     * arithmetic is float, or double for FLOAT64. The state begins as zeros, and {@link #state} saves it. Where the
     * policy skips, nothing moves.
     *
     * <pre>{@code
     * clipper.step(Update.adamW(1e-3), ClipRule.globalNorm(1.0));
     * }</pre>
     *
     * @throws NonFiniteGradientException under the policy ERROR; nothing was changed
     * @throws IllegalArgumentException if the state is that of another form of update, or types or pieces of gradient
     *     and weights do not go together
     * @throws IllegalStateException if a gradient has no weights, they are read-only, or the clipper is closed or in
     *     use
     */
    public ClipResult step(Update update, ClipRule rule) {
        return stepOn(null, update, rule);
    }

    /** Updates as {@link #step} does, after the work enqueued so far on the stream, as {@link #clipAsync} clips. */
    public ClipResult stepAsync(Update update, ClipRule rule, CudaStream stream) {
        return stepOn(Objects.requireNonNull(stream, "stream"), update, rule);
    }

    private ClipResult stepOn(@Nullable CudaStream stream, Update update, ClipRule rule) {
        Objects.requireNonNull(update, "update");
        acquire();
        try {
            forgetMeasured();
            return run(call.step(resolve(rule), update, stream == null ? null : stream.streamHandle));
        } finally {
            user = null;
        }
    }

    /** Steps by a rule that is resolved for this clipper; without a stream the step is complete on return. */
    ClipResult step(Update update, ResolvedRule rule, @Nullable CudaStream stream) {
        acquire();
        try {
            resolved = rule;
            return run(call.step(rule, update, stream == null ? null : stream.streamHandle));
        } finally {
            user = null;
        }
    }

    /** Captures a step by a rule that is resolved for this clipper. */
    CapturedStep captureStep(Update update, ResolvedRule rule, CudaStream stream) {
        Objects.requireNonNull(stream, "stream");
        acquire();
        try {
            forgetMeasured();
            return new CapturedStep(phases, phases.captureStep(rule, update, stream.streamHandle), rule.rule, update);
        } finally {
            user = null;
        }
    }

    /** The state that {@link #step} keeps, to be saved and loaded. */
    public UpdateState state() {
        return new UpdateState(this);
    }

    /** Does work on the state of updates, made for a form where there is none and the form is not null. */
    <T> T onUpdates(@Nullable StateForm form, Function<@Nullable UpdateMemory, T> work) {
        acquire();
        try {
            return work.apply(form == null ? phases.updates() : phases.updates(form));
        } finally {
            user = null;
        }
    }

    /** The number of elements that a tensor was bound with. */
    long length(int tensor) {
        return (long) segments.rows(tensor) * segments.length(tensor);
    }

    /**
     * Returns true if the latest clip threw after it had begun to write: gradients may be partly clipped and must be
     * computed anew. Returns false if it returned, or threw before it wrote, which leaves the gradients as they were.
     */
    public boolean isPartlyClipped() {
        return phases.isPartlyClipped();
    }

    // ---- clip on a stream -------------------------------------------------------------------------------------------

    /** Clips by {@link ClipRule#globalNorm}, as {@link #clipAsync} does. */
    public ClipResult clipByGlobalNormAsync(double maxNorm, CudaStream stream) {
        return clipAsync(ClipRule.globalNorm(maxNorm), stream);
    }

    /** Clips by {@link ClipRule#perTensorNorm}, as {@link #clipAsync} does. */
    public ClipResult clipPerTensorNormAsync(double maxNorm, CudaStream stream) {
        return clipAsync(ClipRule.perTensorNorm(maxNorm), stream);
    }

    /** Clips by {@link ClipRule#value(double)}, as {@link #clipAsync} does. */
    public ClipResult clipByValueAsync(double limit, CudaStream stream) {
        return clipAsync(ClipRule.value(limit), stream);
    }

    /** Clips by {@link ClipRule#value(double, double)}, as {@link #clipAsync} does. */
    public ClipResult clipByValueAsync(double min, double max, CudaStream stream) {
        return clipAsync(ClipRule.value(min, max), stream);
    }

    /**
     * Clips all bound gradients in place, after the work enqueued so far on the stream and before the work enqueued
     * next. On a device this returns at once without waiting for the device; the result's getters wait. Calls of one
     * clipper on different streams run one after the other. On the CPU the stream is ignored, and the clip is complete
     * on return.
     *
     * <p>Under the policy ERROR the result's getters throw; on the CPU this method does.
     *
     * @throws IllegalStateException if the clipper is closed, in use by another thread, or has met a
     *     {@link CudaFatalException}
     */
    public ClipResult clipAsync(ClipRule rule, CudaStream stream) {
        return run(Call.Kind.CLIP, rule, Objects.requireNonNull(stream, "stream"));
    }

    /**
     * Scales as {@link #clipWithNorm(NormRule, double)} does, by a norm on the device that the host does not read,
     * after the work enqueued so far on the stream. A norm that is negative or NaN when the clip runs counts as not
     * finite.
     *
     * @param norm the norm of the gradients on the clipper's device, after unscaling where the rule
     *     {@linkplain ClipRule#withInverseScale unscales}
     * @throws IllegalArgumentException if the policy is ZERO, or the rule has more than one coefficient
     * @throws CudaException if the norm's address is not on the clipper's device
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed or in use by another
     *     thread
     */
    public ClipResult clipWithNormAsync(NormRule rule, DeviceNorm norm, CudaStream stream) {
        requireGiven(rule, norm, stream, "clipWithNormAsync");
        return run(Call.Kind.NORM_ON_DEVICE, rule, Double.NaN, norm, stream);
    }

    static void requireGiven(NormRule rule, DeviceNorm norm, CudaStream stream, String method) {
        Objects.requireNonNull(norm, "norm");
        Objects.requireNonNull(stream, "stream");
        requireOneCoefficient(rule, method);
        requireNoZero(rule, method + " takes the norm as given");
    }

    /** Captures a clip by a rule that is resolved for this clipper; the norm is null where the clip measures it. */
    CapturedClip capture(ResolvedRule rule, @Nullable DeviceNorm norm, CudaStream stream) {
        Objects.requireNonNull(stream, "stream");
        acquire();
        try {
            forgetMeasured();
            return new CapturedClip(phases, phases.capture(rule, norm, stream.streamHandle), rule.rule);
        } finally {
            user = null;
        }
    }

    // ---- decide -----------------------------------------------------------------------------------------------------

    /**
     * Measures and decides as {@link #clip} does, and leaves the gradients as they are. An optimizer that multiplies by
     * {@link ClipResult#coefficient} anyway makes clipping's second pass unnecessary; {@link ClipResult#clipped} then
     * says if the multiplication changes anything. Complete on return.
     *
     * <pre>{@code
     * double coefficient = clipper.decide(ClipRule.globalNorm(1.0)).coefficient();
     * optimizer.step(learningRate, coefficient);
     * }</pre>
     *
     * @throws NonFiniteGradientException under the policy ERROR
     * @throws IllegalArgumentException if the policy is ZERO, which would have to write, or the rule has more than one
     *     coefficient
     */
    public ClipResult decide(NormRule rule) {
        requireOneCoefficient(rule, "decide");
        requireNoZero(rule, "decide leaves the gradients as they are");
        return run(Call.Kind.DECIDE, rule, null);
    }

    /**
     * Decides as {@link #decide} does, after the work enqueued so far on the stream. On a device the optimizer's
     * kernel, on the same stream, reads the coefficient at {@link #coefficientAddress}. Under SKIP it is 1 where a
     * gradient is not finite.
     *
     * @throws IllegalArgumentException if the policy is ZERO, which would have to write, or the rule has more than one
     *     coefficient
     */
    public ClipResult decideAsync(NormRule rule, CudaStream stream) {
        Objects.requireNonNull(stream, "stream");
        requireOneCoefficient(rule, "decideAsync");
        requireNoZero(rule, "decide leaves the gradients as they are");
        return run(Call.Kind.DECIDE, rule, stream);
    }

    private static void requireOneCoefficient(NormRule rule, String method) {
        if (rule.hasOneCoefficient()) return;
        throw new IllegalArgumentException(method + " is for rules with one coefficient for all, of scope ALL, but "
                + rule.name() + " has one for each of many; use clip");
    }

    private static void requireNoZero(NormRule rule, String why) {
        if (rule.nonFinitePolicy() == NonFinitePolicy.ZERO) {
            throw new IllegalArgumentException(
                    why + ", so it can't set elements to 0 first; use clip, or another policy than ZERO");
        }
    }

    /**
     * The device address of a FLOAT64: the coefficient of the latest global-norm clip or decision. An optimizer's
     * kernel that multiplies by it, on the same stream, makes clipping's second pass unnecessary. The address stays the
     * same.
     *
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed
     */
    public long coefficientAddress() {
        return address(DeviceFigure.COEFFICIENT);
    }

    /**
     * The device address of a FLOAT32 flag: 1 if the latest clip or decision by norm found a NaN or an infinity, else
     * 0. A loss scaler's kernels read it on the same stream (PyTorch's {@code found_inf}). The address stays the same.
     *
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed
     */
    public long nonFiniteAddress() {
        return address(DeviceFigure.NON_FINITE);
    }

    /**
     * The device address of a FLOAT32 flag: 1 if the latest clip or decision by norm skipped the step, by the policy SKIP
     * or by a rule such as {@link ClipRule#skipSpikes}, else 0. Given to an optimizer's kernel as PyTorch's {@code
     * found_inf}, it leaves weights and state as they are. The address stays the same.
     *
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed
     */
    public long skipAddress() {
        return address(DeviceFigure.SKIP);
    }

    /**
     * The device address of a FLOAT32: the inverse of the coefficient at {@link #coefficientAddress}. An optimizer's
     * kernel that is fused with a loss scaler's unscaling divides by it (PyTorch's and Apex's {@code grad_scale}). The
     * address stays the same.
     *
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed
     */
    public long inverseCoefficientAddress() {
        return address(DeviceFigure.INVERSE_COEFFICIENT);
    }

    /**
     * The device address of a FLOAT64: the norm of the latest clip or decision by norm, the
     * {@link ClipResult#globalNorm} that the host has yet to read. The address stays the same.
     *
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed
     */
    public long normAddress() {
        return address(DeviceFigure.NORM);
    }

    /**
     * The device address of a FLOAT64: the square of the norm at {@link #normAddress}, which is infinite for a norm
     * above 1.3e154. Processes add their squares up to that of one norm, which {@link #clipWithNormAsync} takes. The
     * address stays the same.
     *
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed
     */
    public long squaredNormAddress() {
        return address(DeviceFigure.SQUARED_NORM);
    }

    private long address(DeviceFigure figure) {
        acquire();
        try {
            return phases.address(figure);
        } finally {
            user = null;
        }
    }

    /**
     * Reports {@code …Async} clips whose figures have arrived to the {@link ClipListener}, and waits for none. Later
     * calls do so too.
     */
    public void poll() {
        acquire();
        try {
            observer.poll();
        } finally {
            user = null;
        }
    }

    /**
     * Prepares a rule that is run every step.
     *
     * @throws IllegalArgumentException if the rule names a group that does not exist, or needs weights and none are
     *     bound
     */
    public PreparedClip prepare(ClipRule rule) {
        acquire();
        try {
            return new PreparedClip(this, resolve(rule));
        } finally {
            user = null;
        }
    }

    /**
     * Prepares a step that is run every step or captured. The update's state is made now, where there is none yet.
     *
     * @throws IllegalArgumentException if the rule names a group that does not exist, the state is that of another form
     *     of update, or types or pieces of gradient and weights do not go together
     * @throws IllegalStateException if a gradient has no weights or they are read-only
     */
    public PreparedStep prepare(Update update, ClipRule rule) {
        Objects.requireNonNull(update, "update");
        acquire();
        try {
            ResolvedRule known = resolve(rule);
            phases.updates(StateForm.of(update));
            return new PreparedStep(this, update, known);
        } finally {
            user = null;
        }
    }

    // ---- accumulate -------------------------------------------------------------------------------------------------

    /** Measures one group as {@link #measure(String, NormType)} does, by the L2 norm. */
    public void measure(String group) {
        measure(group, NormType.L2);
    }

    /**
     * Measures one group while others are still being computed; {@link #apply} clips once every group is measured, with
     * the bits that one {@link #clip} would give. Another clip, norm or rebind in between discards what was measured.
     *
     * @throws IllegalArgumentException if there is no such group
     * @throws IllegalStateException if another norm type has been measured since the last {@link #apply}
     */
    public void measure(String group, NormType type) {
        measureAsync(group, type, CudaStream.DEFAULT);
    }

    /**
     * Measures as {@link #measure(String, NormType)} does, after the work enqueued so far on the stream, such as
     * computing the group's gradients. On the CPU the stream is ignored.
     */
    public void measureAsync(String group, NormType type, CudaStream stream) {
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(stream, "stream");
        acquire();
        try {
            TensorRange range = ResolvedRule.group(group, groups);
            if (accumulatedType != null && !accumulatedType.equals(type)) {
                throw new IllegalStateException("measure was called with norm type " + accumulatedType
                        + " and now with " + type + "; call apply in between");
            }
            phases.measure(type, range, stream.streamHandle);
            accumulatedType = type;
            for (int i = range.from(); i < range.to(); i++) accumulated[i] = true;
        } finally {
            user = null;
        }
    }

    /**
     * Clips by what {@link #measure} found since the last {@code apply}, and discards it. A call that is refused
     * discards nothing.
     *
     * @throws IllegalStateException if a tensor is not measured, or was measured by another norm type than the rule's
     */
    public ClipResult apply(ClipRule rule) {
        return run(Call.Kind.APPLY, rule, null);
    }

    /** Clips as {@link #apply} does, and on a stream as {@link #clipAsync} does. */
    public ClipResult applyAsync(ClipRule rule, CudaStream stream) {
        return run(Call.Kind.APPLY, rule, Objects.requireNonNull(stream, "stream"));
    }

    private void requireMeasured(@Nullable NormType type) {
        if (type == null) return;
        for (int i = 0; i < accumulated.length; i++) {
            if (!accumulated[i]) {
                throw new IllegalStateException(
                        binding.name(i) + " is not measured since the last apply; call measure with its group first");
            }
        }
        if (accumulatedType != null && !accumulatedType.equals(type)) {
            throw new IllegalStateException(
                    "the rule takes norm type " + type + " but measure was called with " + accumulatedType);
        }
    }

    private void forgetMeasured() {
        contributed = null;
        if (accumulatedType == null) return;
        Arrays.fill(accumulated, false);
        accumulatedType = null;
    }

    /** Resolves a rule for this clipper alone. */
    private ResolvedRule resolve(ClipRule rule) {
        return resolveOverRanks(rule).requireSamples(segments, binding.names());
    }

    /** Resolves a rule for this clipper, which may be one of several ranks; the rule resolved last is kept. */
    private ResolvedRule resolveOverRanks(ClipRule rule) {
        ResolvedRule known = resolved;
        if (known != null && known.rule.equals(rule)) return known;
        Objects.requireNonNull(rule, "rule");
        ResolvedRule found = ResolvedRule.of(rule, groups, segments, binding.size());
        if (found.hasHistory) remember(found);
        resolved = found;
        return found;
    }

    // ---- histories --------------------------------------------------------------------------------------------------

    /**
     * What this clipper remembers for a rule with a {@link History}, to be read, saved and loaded. A rule that differs in
     * a fixed limit, an epsilon, a policy or an inverse scale goes on with the same history.
     *
     * @throws IllegalArgumentException if the rule has no history, names a group that does not exist or does not fit
     */
    public RuleHistory history(ClipRule rule) {
        acquire();
        try {
            ResolvedRule known = resolve(rule);
            if (!known.hasHistory) {
                throw new IllegalArgumentException(rule.name() + " has no history: its threshold is fixed");
            }
            return new RuleHistory(this, known);
        } finally {
            user = null;
        }
    }

    /** Gives a rule the histories of the rule before it that is alike, or new ones. */
    private void remember(ResolvedRule rule) {
        List<Object> key = rule.historyKey();
        ResolvedRule before = remembering.get(key);
        if (before != null) {
            rule.remember(before.histories());
            return;
        }
        rule.remember(phases.remember(named(rule).begin(inherited)));
        remembering.put(key, rule);
    }

    private NamedHistories named(ResolvedRule rule) {
        return new NamedHistories(rule, binding::name, groups);
    }

    /**
     * Goes on with what another clipper remembers of tensors and groups of the same names: for an adapter that makes a
     * clipper anew because tensors have changed.
     *
     * @throws IllegalStateException if one of the clippers is closed or in use by another thread
     */
    public void continueHistories(GradientClipper other) {
        other.acquire();
        try {
            inherited.putAll(other.inherited);
            for (ResolvedRule rule : other.remembering.values())
                other.named(rule).leave(inherited);
        } finally {
            other.user = null;
        }
    }

    /** The histories of a rule, by the name of what each is of. */
    Map<String, double[]> histories(ResolvedRule rule) {
        acquire();
        try {
            return named(rule).of(rule.historyBlocks());
        } finally {
            user = null;
        }
    }

    /** Replaces the histories of a rule, all or none of them. */
    void setHistories(ResolvedRule rule, Map<String, double[]> loaded, String source) {
        acquire();
        try {
            double[] blocks = rule.beginHistories();
            named(rule).place(loaded, blocks, source);
            rule.histories().written(blocks);
        } finally {
            user = null;
        }
    }

    // ---- one norm over ranks ----------------------------------------------------------------------------------------

    /**
     * Measures what this rank adds to a norm over all ranks; {@link GlobalNorms#combine} adds them up.
     *
     * @throws IllegalArgumentException if the rule compares gradients with weights, or measures a norm under the policy
     *     ZERO, which takes two exchanges: {@link #clip(ClipRule, Exchange)}
     * @throws IllegalStateException if the clipper is closed, in use by another thread, or the rule would write to
     *     read-only memory; in device memory also if the rule has many coefficients, and the builder declared no shard,
     *     replica or tensor elsewhere
     */
    public PartialNorm partialNorm(ClipRule rule) {
        if (rule.nonFinitePolicy() == NonFinitePolicy.ZERO && measuresNorm(rule)) {
            throw new IllegalArgumentException(
                    "under the policy ZERO the norm is that of the elements left, which takes"
                            + " two exchanges; use clip(rule, exchange), or another policy");
        }
        acquire();
        try {
            return new PartialNorm(contribute(rule, null, false));
        } finally {
            user = null;
        }
    }

    /** Measures what this rank adds to a norm alone: the partial norm of a rule that changes nothing. */
    public PartialNorm partialNorm(NormType type) {
        return partialNorm(ClipRule.globalNorm(Double.POSITIVE_INFINITY).withNormType(type));
    }

    /**
     * Clips by norms over all ranks, of which one part is this clipper's latest {@link #partialNorm(ClipRule)} for the
     * same rule. Norm, coefficients and elements have the bits of one process that holds everything. All ranks decide
     * alike: under SKIP a NaN on one leaves the gradients of all, under ERROR every rank throws the same.
     *
     * <p>The result's norms and coefficients are those over all ranks, its rows those that this rank holds, and
     * {@link ClipResult#tensors}, {@link ClipResult#elements} and {@link ClipResult#elementsChanged} count what this
     * rank holds. A listener hears of the clip, without norms of groups and tensors.
     *
     * @throws NonFiniteGradientException under the policy ERROR, with tensor and rank; nothing was changed on any rank
     * @throws IllegalArgumentException if the norms were measured for another rule
     * @throws IllegalStateException if the norms do not hold this clipper's latest partial norm
     */
    public ClipResult clip(ClipRule rule, GlobalNorms norms) {
        acquire();
        try {
            byte[] own = contributed;
            if (own == null || !norms.holds(own)) {
                throw new IllegalStateException(
                        "the norms do not hold what this clipper measured last; call partialNorm"
                                + " in each step, and combine it with those of the other ranks");
            }
            return decided(resolveOverRanks(rule), norms, null, false);
        } finally {
            user = null;
        }
    }

    /**
     * Clips by norms over all ranks in one call, as {@link #clip(ClipRule, GlobalNorms)} does. There is one exchange,
     * and a second one where the policy is ZERO, the rule measures a norm and a rank found a NaN or an infinity.
     *
     * <pre>{@code
     * clipper.clip(ClipRule.globalNorm(1.0), exchange); // on every rank
     * }</pre>
     *
     * @throws RankMismatchException if the ranks do not hold every tensor exactly once, one of them could not measure,
     *     or their rules differ; nothing was changed on any rank
     * @throws ExchangeException if a rank does not answer
     * @throws NonFiniteGradientException under the policy ERROR, with tensor and rank; nothing was changed on any rank
     */
    public ClipResult clip(ClipRule rule, Exchange exchange) {
        return byExchange(rule, null, exchange);
    }

    /**
     * Updates the weights of what this rank holds with gradients that are clipped by norms over all ranks: {@link
     * #step(Update, ClipRule)} and {@link #clip(ClipRule, Exchange)} in one. The weights have the bits that one process
     * has which steps all of them. Where a NaN on one rank makes the policy skip, no rank moves or counts the step.
     *
     * <pre>{@code
     * clipper.step(Update.adamW(1e-3), ClipRule.globalNorm(1.0), exchange); // on every rank
     * }</pre>
     *
     * @throws IllegalArgumentException as {@link #step(Update, ClipRule)}; the other ranks are told
     * @throws IllegalStateException as {@link #step(Update, ClipRule)}; the other ranks are told
     * @throws RankMismatchException if the ranks do not hold every tensor exactly once, one of them could not measure
     *     or update, or their rules differ; nothing was changed on any rank
     * @throws ExchangeException if a rank does not answer
     * @throws NonFiniteGradientException under the policy ERROR, with tensor and rank; nothing was changed on any rank
     */
    public ClipResult step(Update update, ClipRule rule, Exchange exchange) {
        return byExchange(rule, Objects.requireNonNull(update, "update"), exchange);
    }

    private ClipResult byExchange(ClipRule rule, @Nullable Update update, Exchange exchange) {
        acquire();
        try {
            GlobalNorms norms = gather(exchange, () -> contribute(rule, update, false));
            boolean zeroes = rule.nonFinitePolicy() == NonFinitePolicy.ZERO && measuresNorm(rule) && norms.nonFinite();
            if (zeroes) {
                norms = gather(exchange, () -> contribute(rule, update, true));
            }
            return decided(resolveOverRanks(rule), norms, update, zeroes);
        } finally {
            user = null;
        }
    }

    private static boolean measuresNorm(ClipRule rule) {
        return !(rule instanceof ValueRule)
                && !(rule instanceof GroupRule perGroup
                        && perGroup.rules().values().iterator().next() instanceof ValueRule);
    }

    private byte[] contribute(ClipRule rule, @Nullable Update update, boolean zeroes) {
        forgetMeasured();
        ResolvedRule known = resolveOverRanks(rule);
        if (known.measuresWeights) {
            throw new IllegalArgumentException("adaptive clipping compares each row with its weights on the rank that"
                    + " holds both; it takes no norm over ranks: use clip(rule) or step(update, rule)");
        }
        phases.requireReady(known, update);
        byte[] own = ContributionFormat.write(phases.contribute(known, layout, zeroes));
        contributed = own;
        return own;
    }

    /** Gathers what all ranks measure. */
    private static GlobalNorms gather(Exchange exchange, Supplier<byte[]> measured) {
        byte[] mine = exchange.orTell(measured);
        byte[][] sent = exchange.allGather(mine);
        if (sent.length != exchange.size() || !Arrays.equals(sent[exchange.rank()], mine)) {
            throw new ExchangeException(
                    "rank " + exchange.rank() + " of " + exchange.size()
                            + " did not get its own bytes back in its place; rank and order must agree",
                    null);
        }
        return GlobalNorms.combine(Arrays.asList(sent));
    }

    private ClipResult decided(ResolvedRule rule, GlobalNorms norms, @Nullable Update update, boolean isZeroed) {
        double[] blocks = rule.historyBlocks();
        Verdict verdict = norms.decide(rule.rule, layout.shards(), isZeroed, blocks);
        if (rule.hasHistory) rule.histories().written(blocks);
        forgetMeasured();
        Call filled = update == null ? call.decided(rule, verdict) : call.decidedStep(rule, verdict, update);
        observer.clip(filled);
        return new ClipResult(filled.figures(), norms.source(verdict, rule));
    }

    // ---- rebind -----------------------------------------------------------------------------------------------------

    /**
     * Binds every tensor to its address in this step, in the order bound: on the host, or on the device where the
     * clipper works. An address of 0 stands for an absent gradient, which keeps its place and counts as empty. Types
     * and lengths stay; only addresses that changed take time.
     *
     * @throws IllegalArgumentException if there are not as many addresses as tensors, a tensor is in several pieces,
     *     two tensors share memory, or an address is not on the device; nothing is rebound
     */
    public void rebind(long[] addresses) {
        rebind(0, addresses);
    }

    /**
     * Binds every tensor to its buffer in this step, in the order bound; null stands for an absent gradient. Types,
     * lengths, pieces and side (host or device) stay.
     *
     * @throws IllegalArgumentException if a tensor does not fit or two share memory, naming them; nothing is rebound
     */
    public void rebind(List<? extends @Nullable GradientBuffer> buffers) {
        rebind(0, buffers);
    }

    /**
     * Returns true if {@link #rebind(List)} would find types, lengths, pieces and side as bound; overlaps are not
     * checked.
     *
     * @throws IllegalArgumentException if there are not as many buffers as tensors
     */
    public boolean fits(List<? extends @Nullable GradientBuffer> buffers) {
        binding.requireCount(Objects.requireNonNull(buffers, "buffers").size());
        acquire();
        try {
            GradientClipperBuilder.memoryOf(buffers, given);
            return binding.fits(given);
        } finally {
            Arrays.fill(given, null);
            user = null;
        }
    }

    /** Rebinds to whole arrays of FLOAT32, as {@link #rebind(List)} does. */
    public void rebind(float[] @Nullable ... arrays) {
        binding.requireCount(arrays.length);
        acquire();
        try {
            binding.rebind(arrays);
            forgetMeasured();
        } finally {
            user = null;
        }
    }

    /**
     * Binds the weights of every gradient to their address in this step, in the order of the gradients:
     * {@link #rebind(long[])}.
     *
     * @throws IllegalStateException if no weights were bound
     */
    public void rebindWeights(long[] addresses) {
        requireWeights();
        rebind(binding.size(), addresses);
    }

    /**
     * Binds the weights of every gradient to their buffer in this step, in the order of the gradients:
     * {@link #rebind(List)}.
     *
     * @throws IllegalStateException if no weights were bound
     */
    public void rebindWeights(List<? extends @Nullable GradientBuffer> buffers) {
        requireWeights();
        rebind(binding.size(), buffers);
    }

    /** Rebinds the gradients, which are the entries from 0 on, or the weights. */
    private void rebind(int from, long[] addresses) {
        binding.requireCount(Objects.requireNonNull(addresses, "addresses").length);
        acquire();
        try {
            binding.rebind(from, addresses);
            if (from == 0) forgetMeasured();
        } finally {
            user = null;
        }
    }

    private void rebind(int from, List<? extends @Nullable GradientBuffer> buffers) {
        binding.requireCount(Objects.requireNonNull(buffers, "buffers").size());
        acquire();
        try {
            GradientClipperBuilder.memoryOf(buffers, given);
            binding.rebind(from, given);
            if (from == 0) forgetMeasured();
        } finally {
            // The array outlives the call, and must not keep memory alive.
            Arrays.fill(given, null);
            user = null;
        }
    }

    private void requireWeights() {
        if (segments.hasWeights()) return;
        throw new IllegalStateException("the clipper has no parameters; bind them with builder().weights(weights)");
    }

    /** Reads per-tensor figures on demand, which are valid until the next call. */
    private final class Source implements ClipResult.Source {
        @Override
        public boolean isComplete(long ofCall) {
            return phases.isComplete(ofCall);
        }

        @Override
        public void read(long ofCall, Figures into) {
            phases.read(ofCall, into);
        }

        @Override
        public double tensorNorm(int tensor, long ofCall) {
            Objects.checkIndex(tensor, binding.size());
            return between(segments.from(tensor), segments.from(tensor + 1), ofCall);
        }

        @Override
        public double rowNorm(int tensor, int row, long ofCall) {
            int segment = segment(tensor, row);
            return between(segment, segment + 1, ofCall);
        }

        @Override
        public double groupNorm(String name, long ofCall) {
            TensorRange range = ResolvedRule.group(name, groups);
            return between(segments.from(range.from()), segments.from(range.to()), ofCall);
        }

        @Override
        public double tensorCoefficient(int tensor, long ofCall) {
            Objects.checkIndex(tensor, binding.size());
            acquire();
            try {
                double first = phases.coefficient(segments.from(tensor), ofCall);
                // Read before another thread's call can replace it.
                ResolvedRule rule = resolved;
                boolean differ = rule != null && rule.hasRowCoefficients(tensor) && segments.rows(tensor) > 1;
                return differ ? Double.NaN : first;
            } finally {
                user = null;
            }
        }

        @Override
        public double rowCoefficient(int tensor, int row, long ofCall) {
            int segment = segment(tensor, row);
            acquire();
            try {
                return phases.coefficient(segment, ofCall);
            } finally {
                user = null;
            }
        }

        private int segment(int tensor, int row) {
            Objects.checkIndex(tensor, binding.size());
            return segments.from(tensor) + Objects.checkIndex(row, segments.rows(tensor));
        }

        private double between(int from, int to, long ofCall) {
            acquire();
            try {
                return phases.norm(from, to, ofCall);
            } finally {
                user = null;
            }
        }
    }

    // ---- one thread at a time, closed once --------------------------------------------------------------------------

    private void acquire() {
        Thread me = Thread.currentThread();
        if (!take(me)) {
            // The thread that closes the clipper may be the user.
            if (closing) throw new IllegalStateException("the clipper is closed");
            Thread other = user;
            throw new IllegalStateException("the clipper is in use by " + (other == null ? "another thread" : other)
                    + "; a clipper serves one thread at a time: give each thread its own");
        }
        if (closing) {
            user = null;
            throw new IllegalStateException("the clipper is closed");
        }
    }

    /** Takes the clipper for a thread; false if another is in a call. A thread that has ended is in no call. */
    private boolean take(Thread me) {
        if (USER.compareAndSet(this, null, me)) return true;
        Thread other = user;
        return other != null && !other.isAlive() && USER.compareAndSet(this, other, me);
    }

    /**
     * Refuses further calls, and waits for a call in progress on another thread and for work in flight on a device.
     * Results of {@code …Async} clips can still be read. Closing again only waits until the clipper is closed.
     *
     * @throws CudaException if work in flight failed
     * @throws IllegalStateException if the executor calls this during a call of the clipper on the same thread
     */
    @Override
    public void close() {
        Thread me = Thread.currentThread();
        if (user == me) {
            throw new IllegalStateException("a clipper can't be closed by its own executor while it works");
        }
        closing = true;
        boolean interrupted = false;
        while (!closed) {
            if (take(me)) {
                closeAs();
            } else {
                LockSupport.parkNanos(20_000);
                // An interrupted thread would not park again.
                interrupted |= Thread.interrupted();
            }
        }
        if (interrupted) me.interrupt();
    }

    private void closeAs() {
        if (closed) {
            user = null;
            return;
        }
        try {
            leak.closed();
        } finally {
            try {
                binding.clear();
                try {
                    observer.close();
                } finally {
                    phases.clear();
                }
            } finally {
                closed = true;
                user = null;
            }
        }
    }

    /** {@code GradientClipper[backend, tensors and elements that have memory]}. */
    @Override
    public String toString() {
        if (closing) return "GradientClipper[" + backend + ", closed]";
        return "GradientClipper[" + backend + ", " + binding.tensors() + " of " + binding.size() + " tensors, "
                + binding.elements() + " elements]";
    }
}
