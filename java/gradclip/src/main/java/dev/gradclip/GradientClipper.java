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
import dev.gradclip.internal.cuda.DeviceFigure;
import dev.gradclip.internal.memory.TensorMemory;
import dev.gradclip.internal.reduce.SegmentLayout;
import dev.gradclip.internal.resource.LeakGuard;
import dev.gradclip.internal.rule.ResolvedRule;
import dev.gradclip.internal.rule.TensorRange;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReferenceFieldUpdater;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Clips one set of gradient tensors, in place, step after step, where they are: on the CPU, or on a CUDA device. Each clip
 * measures, decides and applies, and allocates nothing but its result; it is complete on return, and on a device comes after
 * earlier work on the default stream. An {@code …Async} one is only enqueued.
 *
 * <p>One thread at a time: a second one is refused, not queued. Different clippers run in parallel.
 *
 * <p>Whatever a call throws (a {@code StackOverflowError}, an {@code OutOfMemoryError}, what an executor throws), no helper works
 * any more when it ends, and the next call works as ever. Gradients are then as they were, unless {@link #isPartlyClipped} says
 * that the clip had begun to write: compute those anew.
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

    /** The call under way, filled anew each time. */
    private final Call call = new Call();

    /** The thread that is in a call. It is set to null without a call, which a thread whose stack is used up could not make. */
    private volatile @Nullable Thread user;

    private final boolean[] accumulated;

    /** The memory that a rebind is given, while it runs. */
    private final @Nullable TensorMemory[] given;

    private @Nullable NormType accumulatedType;
    private @Nullable ResolvedRule resolved;
    private volatile boolean closing;
    private volatile boolean closed;

    GradientClipper(GradientClipperBuilder builder) {
        backend = builder.resolve();
        groups = builder.groups();
        TensorList tensors = builder.tensors();
        if (backend == Backend.CUDA) {
            DeviceBinding devices = new DeviceBinding(tensors);
            binding = devices;
            phases = orLetGo(devices, () -> new CudaPhases(devices));
        } else {
            HostBinding host = new HostBinding(
                    tensors, segmentsOfPieces -> builder.plan(backend, segmentsOfPieces), Backend.NATIVE::require);
            binding = host;
            phases = new CpuPhases(host);
        }
        segments = binding.segments();
        try {
            observer = new ClipObserver(phases, segmentsOf(groups), builder.listener());
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

    /** Groups as runs of segments instead of tensors. */
    private Map<String, TensorRange> segmentsOf(Map<String, TensorRange> ofTensors) {
        Map<String, TensorRange> runs = new LinkedHashMap<>();
        ofTensors.forEach((name, range) ->
                runs.put(name, new TensorRange(segments.from(range.from()), segments.from(range.to()))));
        return runs;
    }

    /** Names, groups and buffers of a clipper to be. */
    public static GradientClipperBuilder builder() {
        return new GradientClipperBuilder();
    }

    /** Makes a clipper of unnamed tensors, on the best backend for where they are. */
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

    /** Where the work is done. */
    public Backend backend() {
        return backend;
    }

    /** Names in the order bound: what a per-tensor index means. */
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
     * Scales by {@code min(1, maxNorm / (norm + 1e-6))} with a norm that the caller has: one that spans several processes,
     * say (TensorFlow's {@code use_norm}). Nothing is measured.
     *
     * @throws IllegalArgumentException if maxNorm is negative or NaN, or the norm is negative
     */
    public ClipResult clipWithNorm(double maxNorm, double globalNorm) {
        return clipWithNorm(ClipRule.globalNorm(maxNorm), globalNorm);
    }

    /**
     * As {@link #clipWithNorm(double, double)}, with the rule's epsilon and policy; ZERO is refused, for the norm would not
     * be that of what is left.
     *
     * @param globalNorm of the gradients after unscaling, where the rule {@linkplain ClipRule#withInverseScale unscales}
     * @throws IllegalArgumentException if the norm is negative, the policy is ZERO, or the rule has more than one coefficient
     */
    public ClipResult clipWithNorm(NormRule rule, double globalNorm) {
        if (globalNorm < 0) throw new IllegalArgumentException("norm must be 0 or more, but is " + globalNorm);
        requireOneCoefficient(rule, "clipWithNorm");
        requireNoZero(rule, "clipWithNorm takes the norm as given");
        acquire();
        try {
            forgetMeasured();
            return run(call.withNorm(resolve(rule), globalNorm));
        } finally {
            user = null;
        }
    }

    /**
     * Clips all bound gradients in place by a rule; complete on return.
     *
     * @throws NonFiniteGradientException under the policy ERROR; nothing was changed
     * @throws IllegalStateException if the clipper is closed, in use by another thread, or would write to read-only memory
     */
    @Override
    public ClipResult clip(ClipRule rule) {
        acquire();
        try {
            forgetMeasured();
            return run(call.of(Call.Kind.CLIP, resolve(rule), null));
        } finally {
            user = null;
        }
    }

    /** Clips by a rule that is resolved for this clipper; without a stream the clip is complete on return. */
    ClipResult clip(ResolvedRule rule, @Nullable CudaStream stream) {
        acquire();
        try {
            forgetMeasured();
            resolved = rule;
            return run(call.of(Call.Kind.CLIP, rule, stream == null ? null : stream.streamHandle));
        } finally {
            user = null;
        }
    }

    /** Lets the backend do a call, and makes its figures a result. */
    private ClipResult run(Call filled) {
        observer.clip(filled);
        return new ClipResult(filled.figures(), source);
    }

    /**
     * Whether the latest clip ended with something thrown after it had begun to write, so that the gradients may be partly clipped
     * and are to be computed anew. False where a clip returned, or threw before that: the gradients are as they were.
     */
    public boolean isPartlyClipped() {
        return phases.isPartlyClipped();
    }

    // ---- clip on a stream -------------------------------------------------------------------------------------------

    /** As {@link #clipAsync} with {@link ClipRule#globalNorm}. */
    public ClipResult clipByGlobalNormAsync(double maxNorm, CudaStream stream) {
        return clipAsync(ClipRule.globalNorm(maxNorm), stream);
    }

    /** As {@link #clipAsync} with {@link ClipRule#perTensorNorm}. */
    public ClipResult clipPerTensorNormAsync(double maxNorm, CudaStream stream) {
        return clipAsync(ClipRule.perTensorNorm(maxNorm), stream);
    }

    /** As {@link #clipAsync} with {@link ClipRule#value(double)}. */
    public ClipResult clipByValueAsync(double limit, CudaStream stream) {
        return clipAsync(ClipRule.value(limit), stream);
    }

    /** As {@link #clipAsync} with {@link ClipRule#value(double, double)}. */
    public ClipResult clipByValueAsync(double min, double max, CudaStream stream) {
        return clipAsync(ClipRule.value(min, max), stream);
    }

    /**
     * Clips all bound gradients in place, after what the stream has been given so far and before what it is given next. On a
     * device it returns at once: nothing waits for the device, and the result is there when it is asked. Calls of one clipper
     * on different streams run one after the other. On the CPU the stream is ignored and the clip complete on return.
     *
     * <p>Under the policy ERROR it is the result's getters that throw; on the CPU this method.
     *
     * @throws IllegalStateException if the clipper is closed, in use by another thread, or has met a
     *     {@link CudaFatalException}
     */
    public ClipResult clipAsync(ClipRule rule, CudaStream stream) {
        Objects.requireNonNull(stream, "stream");
        acquire();
        try {
            forgetMeasured();
            return run(call.of(Call.Kind.CLIP, resolve(rule), stream.streamHandle));
        } finally {
            user = null;
        }
    }

    /**
     * Scales by a rule's coefficient for a norm that lies on the device, after what the stream has been given so far: as {@link
     * #clipWithNorm(NormRule, double)}, without the host. A norm that is negative or NaN when the clip runs counts as not finite.
     *
     * @param norm of the gradients after unscaling, where the rule {@linkplain ClipRule#withInverseScale unscales}; on the clipper's device
     * @throws IllegalArgumentException if the policy is ZERO, or the rule has more than one coefficient
     * @throws CudaException if the norm's address is not on the clipper's device
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed or in use by another thread
     */
    public ClipResult clipWithNormAsync(NormRule rule, DeviceNorm norm, CudaStream stream) {
        requireGiven(rule, norm, stream, "clipWithNormAsync");
        acquire();
        try {
            forgetMeasured();
            return run(call.withNorm(resolve(rule), norm, stream.streamHandle));
        } finally {
            user = null;
        }
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
     * Measures and decides as {@link #clip} does, and leaves the gradients as they are: an optimizer that multiplies by {@link
     * ClipResult#coefficient} anyway spares clipping its second pass. {@link ClipResult#clipped} then says whether that changes
     * anything. Complete on return.
     *
     * <pre>{@code
     * double coefficient = clipper.decide(ClipRule.globalNorm(1.0)).coefficient();
     * optimizer.step(learningRate, coefficient);
     * }</pre>
     *
     * @throws NonFiniteGradientException under the policy ERROR
     * @throws IllegalArgumentException if the policy is ZERO, which would have to write, or the rule has more than one coefficient
     */
    public ClipResult decide(NormRule rule) {
        requireOneCoefficient(rule, "decide");
        requireNoZero(rule, "decide leaves the gradients as they are");
        acquire();
        try {
            forgetMeasured();
            return run(call.of(Call.Kind.DECIDE, resolve(rule), null));
        } finally {
            user = null;
        }
    }

    /**
     * As {@link #decide}, after what the stream has been given so far: on a device the optimizer's kernel, on the same stream,
     * reads the coefficient at {@link #coefficientAddress}. Under SKIP it is 1 where a gradient is not finite.
     *
     * @throws IllegalArgumentException if the policy is ZERO, which would have to write, or the rule has more than one coefficient
     */
    public ClipResult decideAsync(NormRule rule, CudaStream stream) {
        Objects.requireNonNull(stream, "stream");
        requireOneCoefficient(rule, "decideAsync");
        requireNoZero(rule, "decide leaves the gradients as they are");
        acquire();
        try {
            forgetMeasured();
            return run(call.of(Call.Kind.DECIDE, resolve(rule), stream.streamHandle));
        } finally {
            user = null;
        }
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
     * Where on the device the coefficient of the latest global-norm clip or decision is, as a FLOAT64: an optimizer's kernel that
     * multiplies by it, on the same stream, spares clipping its second pass. The address stays the same.
     *
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed
     */
    public long coefficientAddress() {
        return address(DeviceFigure.COEFFICIENT);
    }

    /**
     * Where on the device it is written, as a FLOAT32 that is 1 or 0, whether the latest clip or decision by norm found a NaN or an
     * infinity: what a loss scaler's kernels read on the same stream (PyTorch's {@code found_inf}). The address stays the same.
     *
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed
     */
    public long nonFiniteAddress() {
        return address(DeviceFigure.NON_FINITE);
    }

    /**
     * Where on the device the inverse of the coefficient is, as a FLOAT32, beside {@link #coefficientAddress}: what an optimizer's
     * kernel divides by that is fused with a loss scaler's unscaling (PyTorch's and Apex's {@code grad_scale}). The address stays
     * the same.
     *
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed
     */
    public long inverseCoefficientAddress() {
        return address(DeviceFigure.INVERSE_COEFFICIENT);
    }

    /**
     * Where on the device the norm of the latest clip or decision by norm is, as a FLOAT64: the {@link ClipResult#globalNorm} that
     * the host has yet to read. The address stays the same.
     *
     * @throws IllegalStateException if the gradients are in host memory, or the clipper is closed
     */
    public long normAddress() {
        return address(DeviceFigure.NORM);
    }

    /**
     * Where on the device the square of that norm is, as a FLOAT64: what processes add up to one norm, and {@link
     * #clipWithNormAsync} takes back. Infinite for a norm above 1.3e154. The address stays the same.
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
     * Tells the {@link ClipListener} of the {@code …Async} clips whose figures have come meanwhile, and waits for none. Later calls
     * do so too.
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
     * Makes a rule ready to be run every step.
     *
     * @throws IllegalArgumentException if the rule names a group that is not there, or needs weights and there are none
     */
    public PreparedClip prepare(ClipRule rule) {
        acquire();
        try {
            return new PreparedClip(this, resolve(rule));
        } finally {
            user = null;
        }
    }

    // ---- accumulate -------------------------------------------------------------------------------------------------

    /** As {@link #measure(String, NormType)} with the L2 norm. */
    public void measure(String group) {
        measure(group, NormType.L2);
    }

    /**
     * Measures one group while others are still being computed; {@link #apply} clips once every group is measured, with the
     * bits that one {@link #clip} would give. Another clip, norm or rebind in between forgets what was measured.
     *
     * @throws IllegalArgumentException if there is no such group
     * @throws IllegalStateException if another norm type has been measured since the last {@link #apply}
     */
    public void measure(String group, NormType type) {
        measureAsync(group, type, CudaStream.DEFAULT);
    }

    /**
     * As {@link #measure(String, NormType)}, after what the stream has been given so far: the stream that computes the group's
     * gradients, say. On the CPU the stream is ignored.
     */
    public void measureAsync(String group, NormType type, CudaStream stream) {
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(stream, "stream");
        acquire();
        try {
            TensorRange range = group(group);
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
     * Clips by what {@link #measure} found since the last call, and forgets it. What is refused forgets nothing.
     *
     * @throws IllegalStateException if a tensor is not measured, or by another norm type than the rule's
     */
    public ClipResult apply(ClipRule rule) {
        acquire();
        try {
            ResolvedRule resolvedRule = resolve(rule);
            requireMeasured(resolvedRule.normType);
            forgetMeasured();
            return run(call.of(Call.Kind.APPLY, resolvedRule, null));
        } finally {
            user = null;
        }
    }

    /** As {@link #apply}, after what the stream has been given so far, as {@link #clipAsync}. */
    public ClipResult applyAsync(ClipRule rule, CudaStream stream) {
        Objects.requireNonNull(stream, "stream");
        acquire();
        try {
            ResolvedRule resolvedRule = resolve(rule);
            requireMeasured(resolvedRule.normType);
            forgetMeasured();
            return run(call.of(Call.Kind.APPLY, resolvedRule, stream.streamHandle));
        } finally {
            user = null;
        }
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
        if (accumulatedType == null) return;
        Arrays.fill(accumulated, false);
        accumulatedType = null;
    }

    /** What a rule means here; of the rule before it is known already. */
    private ResolvedRule resolve(ClipRule rule) {
        ResolvedRule known = resolved;
        if (known != null && known.rule.equals(rule)) return known;
        Objects.requireNonNull(rule, "rule");
        ResolvedRule found = ResolvedRule.of(rule, groups, segments, binding.size());
        resolved = found;
        return found;
    }

    // ---- rebind -----------------------------------------------------------------------------------------------------

    /**
     * Binds every tensor to the address it has this step, in the order bound: on the host, or on the device where the clipper
     * works. 0 is a gradient that is absent, which keeps its place and counts as empty. Types and lengths stay; only what
     * changed costs.
     *
     * @throws IllegalArgumentException if there are not as many addresses as tensors, a tensor is in several pieces, two share
     *     memory, or an address is not on the device; nothing is rebound
     */
    public void rebind(long[] addresses) {
        binding.requireCount(Objects.requireNonNull(addresses, "addresses").length);
        acquire();
        try {
            binding.rebind(0, addresses);
            forgetMeasured();
        } finally {
            user = null;
        }
    }

    /**
     * Binds every tensor to the buffer it has this step, in the order bound; null is a gradient that is absent. Types,
     * lengths, pieces and side stay.
     *
     * @throws IllegalArgumentException naming the tensor that does not fit, or two that share memory; nothing is rebound
     */
    public void rebind(List<? extends @Nullable GradientBuffer> buffers) {
        binding.requireCount(Objects.requireNonNull(buffers, "buffers").size());
        acquire();
        try {
            GradientClipperBuilder.memoryOf(buffers, given);
            binding.rebind(0, given);
            forgetMeasured();
        } finally {
            // The array stays, and must not keep memory alive.
            Arrays.fill(given, null);
            user = null;
        }
    }

    /**
     * Whether {@link #rebind(List)} would find types, lengths, pieces and side as they were bound. Overlaps are not looked for.
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

    /** As {@link #rebind(List)}, for whole arrays of FLOAT32. */
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
     * Binds every parameter to the address it has now, in the order of the gradients: as {@link #rebind(long[])}.
     *
     * @throws IllegalStateException if no parameters were bound
     */
    public void rebindWeights(long[] addresses) {
        requireWeights();
        binding.requireCount(Objects.requireNonNull(addresses, "addresses").length);
        acquire();
        try {
            binding.rebind(binding.size(), addresses);
        } finally {
            user = null;
        }
    }

    /**
     * Binds every parameter to the buffer it has now, in the order of the gradients: as {@link #rebind(List)}.
     *
     * @throws IllegalStateException if no parameters were bound
     */
    public void rebindWeights(List<? extends @Nullable GradientBuffer> buffers) {
        requireWeights();
        binding.requireCount(Objects.requireNonNull(buffers, "buffers").size());
        acquire();
        try {
            GradientClipperBuilder.memoryOf(buffers, given);
            binding.rebind(binding.size(), given);
        } finally {
            Arrays.fill(given, null);
            user = null;
        }
    }

    private void requireWeights() {
        if (segments.hasWeights()) return;
        throw new IllegalStateException("the clipper has no parameters; bind them with builder().weights(weights)");
    }

    private TensorRange group(String name) {
        TensorRange group = groups.get(name);
        if (group == null) {
            throw new IllegalArgumentException("there is no group '" + name + "'; the groups are " + groups.keySet());
        }
        return group;
    }

    /** Per-tensor figures on demand, valid until the next call. */
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
            TensorRange range = group(name);
            return between(segments.from(range.from()), segments.from(range.to()), ofCall);
        }

        @Override
        public double tensorCoefficient(int tensor, long ofCall) {
            Objects.checkIndex(tensor, binding.size());
            acquire();
            try {
                double first = phases.coefficient(segments.from(tensor), ofCall);
                // Read before another thread's call can put its rule there.
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
            // Also by the thread that closes it.
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

    /** False where another is in a call; one that was stopped there, and has ended, is not. */
    private boolean take(Thread me) {
        if (USER.compareAndSet(this, null, me)) return true;
        Thread other = user;
        return other != null && !other.isAlive() && USER.compareAndSet(this, other, me);
    }

    /**
     * Refuses further calls, and waits for one under way on another thread and for work in flight on a device. Results of
     * {@code …Async} clips can still be read. Closing again only waits until the clipper is closed.
     *
     * @throws CudaException if work in flight failed
     * @throws IllegalStateException from within a call of this clipper, by the executor on the same thread
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
                // It would park no more.
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
