// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.binding.TensorList;
import dev.gradclip.internal.cpu.CpuPlan;
import dev.gradclip.internal.jni.NativeLibrary;
import dev.gradclip.internal.memory.HostMemory;
import dev.gradclip.internal.memory.Piece;
import dev.gradclip.internal.memory.Strided;
import dev.gradclip.internal.memory.TensorMemory;
import dev.gradclip.internal.ranks.RankLayout;
import dev.gradclip.internal.reduce.SegmentLayout;
import dev.gradclip.internal.rule.TensorRange;
import dev.gradclip.internal.threads.Workers;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/** Collects the tensors, weights, groups and options of a {@link GradientClipper}. */
public final class GradientClipperBuilder {
    private final List<String> names = new ArrayList<>();
    private final Set<String> taken = new HashSet<>();
    private final List<GradientBuffer> shapes = new ArrayList<>();
    private final List<@Nullable GradientBuffer> bound = new ArrayList<>();
    private final List<Integer> rows = new ArrayList<>();
    private final List<@Nullable Strided> strided = new ArrayList<>();
    private final List<@Nullable GradientBuffer> weights = new ArrayList<>();
    private final List<@Nullable GradientBuffer> weightsShapes = new ArrayList<>();
    private final Map<String, Integer> groupStarts = new LinkedHashMap<>();
    private final ShardDeclarations shards = new ShardDeclarations();
    private @Nullable Backend backend;
    private @Nullable Workers team;
    private int level = -1;
    private boolean hasWeights;
    private @Nullable ClipListener listener;
    boolean watched = true;

    GradientClipperBuilder() {}

    /** Adds a tensor, which errors name by its place. */
    public GradientClipperBuilder add(GradientBuffer gradient) {
        return add("tensor " + names.size(), gradient);
    }

    /**
     * Adds a tensor under a name, which errors use.
     *
     * @throws IllegalArgumentException if the name is taken
     */
    public GradientClipperBuilder add(String name, GradientBuffer gradient) {
        if (gradient == null) throw new NullPointerException("the gradient of " + name + " is null");
        return add(name, gradient, gradient);
    }

    /**
     * Adds a tensor that is absent until {@link GradientClipper#rebind} gives it memory.
     *
     * @throws IllegalArgumentException if the name is taken, or length is negative or beyond what memory can hold
     */
    public GradientClipperBuilder declare(String name, DType dtype, long length) {
        return add(name, shape(name, dtype, length), null);
    }

    private static HostBuffer shape(String name, DType dtype, long length) {
        if (dtype == null) throw new NullPointerException("the type of " + name + " is null");
        try {
            return new HostBuffer(HostMemory.shape(dtype, length));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(name + ": " + e.getMessage(), e);
        }
    }

    private GradientClipperBuilder add(String name, GradientBuffer shape, @Nullable GradientBuffer buffer) {
        Objects.requireNonNull(name, "name");
        if (!taken.add(name)) throw new IllegalArgumentException("there are two tensors named '" + name + "'");
        names.add(name);
        shapes.add(shape);
        bound.add(buffer);
        rows.add(1);
        strided.add(null);
        weights.add(null);
        weightsShapes.add(null);
        shards.add();
        return this;
    }

    /**
     * Divides the tensor added last into {@code count} rows of equal length, one after the other: its leading
     * dimension, in which samples or units are counted. Each row then has a norm of its own for {@link Scope#ROW}. A
     * norm over several rows is added up row by row, so its last digit may differ from that of the same tensor bound
     * without rows. An empty tensor may have 0 rows.
     *
     * <pre>{@code
     * builder.add("conv1.weight", gradient).rows(64).weights(weights) // [64, 3, 7, 7]: 64 units
     * }</pre>
     *
     * @throws IllegalArgumentException if count does not divide the tensor's length
     * @throws IllegalStateException if no tensor was added
     */
    public GradientClipperBuilder rows(int count) {
        int last = last("rows");
        long length = shapes.get(last).length();
        boolean divides = count == 0 ? length == 0 : count > 0 && length % count == 0;
        if (!divides) {
            throw new IllegalArgumentException(names.get(last) + " has " + length + " elements, which are not " + count
                    + " rows of equal length; rows are the leading dimension of a contiguous tensor: bind parts of"
                    + " another layout as tensors of their own, or its units along an axis by units(axis, shape)");
        }
        // An empty tensor is one empty row.
        rows.set(last, Math.max(count, 1));
        strided.set(last, null);
        shards.rows(last);
        return this;
    }

    /**
     * Divides the tensor added last, which is contiguous and has this shape, into the units of one axis: all elements
     * with one index there. Each then has a norm of its own for {@link Scope#ROW}, and results and errors number it as
     * a row. {@code units(0, shape)} is {@code rows(shape[0])}.
     *
     * <p>The units of a layer are its outputs. PyTorch keeps them along the first axis; Keras, TensorFlow and Flax along
     * the last one. A unit's norm has the bits that it has where its elements lie side by side.
     *
     * <pre>{@code
     * builder.add("dense/kernel", gradient).units(1, 512, 10).weights(weights)    // [in, out]: 10 units
     * builder.add("conv/kernel", gradient).units(3, 3, 3, 64, 128).weights(weights) // [3, 3, in, out]: 128 units
     * }</pre>
     *
     * @param axis the axis of the units; a negative one counts from the end, so that -1 is the last
     * @param shape the length of each dimension, of which the last lies side by side
     * @throws IllegalArgumentException if the shape has another number of elements than the tensor, or no such axis
     * @throws IllegalStateException if no tensor was added
     */
    public GradientClipperBuilder units(int axis, long... shape) {
        int last = last("units");
        int at = axis < 0 ? axis + shape.length : axis;
        if (at < 0 || at >= shape.length) {
            throw new IllegalArgumentException(names.get(last) + " has the axes 0 to " + (shape.length - 1)
                    + " in the shape " + Arrays.toString(shape) + ", but units were asked for along axis " + axis);
        }
        long elements = 1;
        long inner = 1;
        for (int i = 0; i < shape.length; i++) {
            if (shape[i] < 0) throw wrongShape(last, shape);
            if (shape[i] != 0 && elements > Long.MAX_VALUE / shape[i]) throw wrongShape(last, shape);
            elements *= shape[i];
            if (i > at) inner *= shape[i];
        }
        if (elements != shapes.get(last).length()) throw wrongShape(last, shape);
        if (shape[at] > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(names.get(last) + " has " + shape[at] + " units along axis " + axis
                    + ", more than a clipper takes");
        }
        rows(elements == 0 ? 0 : (int) shape[at]);
        long outer = elements == 0 ? 0 : elements / (shape[at] * inner);
        if (outer > 1 && shape[at] > 1) {
            strided.set(last, new Strided(inner, shape[at] * inner));
            shards.units(last);
        }
        return this;
    }

    private IllegalArgumentException wrongShape(int tensor, long[] shape) {
        return new IllegalArgumentException(names.get(tensor) + " has "
                + shapes.get(tensor).length() + " elements, which are not of the shape " + Arrays.toString(shape));
    }

    /**
     * Declares that the tensor added last is a shard: the elements from {@code firstElement} on of a tensor of {@code
     * totalLength}, whose others lie on other ranks. A shard begins and ends at a multiple of 8 KiB, at the tensor's
     * end, or, if it has {@link #rows}, between rows; {@link #build} checks that. It matters to a norm over ranks only
     * ({@link GradientClipper#clip(ClipRule, Exchange)}).
     *
     * <pre>{@code
     * builder.add("embedding", gradient).shard(rank * (total / ranks), total)
     * }</pre>
     *
     * @throws IllegalArgumentException if a number is negative
     * @throws IllegalStateException if no tensor was added
     */
    public GradientClipperBuilder shard(long firstElement, long totalLength) {
        int last = last("shard");
        if (firstElement < 0 || totalLength < 0) {
            throw new IllegalArgumentException(names.get(last) + " can't begin at element " + firstElement + " of "
                    + totalLength + "; both are 0 or more");
        }
        shards.shard(last, firstElement, totalLength);
        return this;
    }

    /**
     * Declares that the tensor or shard added last is on several ranks, of which one counts it; each rank names the
     * same one. A norm over ranks then has it once, and every rank clips its own.
     *
     * <pre>{@code
     * builder.add("norm.weight", gradient).replica(0)
     * }</pre>
     *
     * @param owner the rank that counts it
     * @throws IllegalArgumentException if owner is negative
     * @throws IllegalStateException if no tensor was added
     */
    public GradientClipperBuilder replica(int owner) {
        int last = last("replica");
        if (owner < 0) throw new IllegalArgumentException("ranks begin with 0, but the owner is " + owner);
        shards.replica(last, owner);
        return this;
    }

    /**
     * Adds a tensor of which this rank holds nothing. Every rank has all tensors in the same order, because a norm adds
     * them up in that order.
     *
     * <pre>{@code
     * builder.elsewhere("layer7.weight", DType.BFLOAT16, 4096 * 4096)
     * }</pre>
     *
     * @throws IllegalArgumentException if the name is taken, or the length is negative
     */
    public GradientClipperBuilder elsewhere(String name, DType dtype, long totalLength) {
        return declare(name, dtype, 0).shard(0, totalLength);
    }

    boolean isOfRanks() {
        return shards.isOfRanks();
    }

    RankLayout rankLayout() {
        return shards.layout(names, shapes, rows, groupStarts);
    }

    /**
     * Sets the weights whose gradient the tensor added last is, for {@link ClipRule#adaptive}, which reads them, and
     * {@link GradientClipper#step}, which updates them. They may be of another type, but not of another length.
     *
     * @throws IllegalArgumentException if the length differs
     * @throws IllegalStateException if no tensor was added
     */
    public GradientClipperBuilder weights(GradientBuffer buffer) {
        int last = last("weights");
        if (buffer == null) throw new NullPointerException("the parameter of " + names.get(last) + " is null");
        long length = shapes.get(last).length();
        if (buffer.length() != length) {
            throw new IllegalArgumentException("the parameter of " + names.get(last) + " has " + buffer.length()
                    + " elements, but its gradient has " + length);
        }
        weights.set(last, buffer);
        weightsShapes.set(last, buffer);
        hasWeights = true;
        return this;
    }

    /** Declares the weights of the tensor added last, without memory until {@link GradientClipper#rebindWeights}. */
    public GradientClipperBuilder weights(DType dtype) {
        int last = last("weights");
        weights.set(last, null);
        weightsShapes.set(
                last,
                shape(
                        "the parameter of " + names.get(last),
                        dtype,
                        shapes.get(last).length()));
        hasWeights = true;
        return this;
    }

    private int last(String method) {
        if (names.isEmpty()) throw new IllegalStateException(method + " is about the tensor added last; add one first");
        return names.size() - 1;
    }

    private SegmentLayout segments() {
        int[] counts = new int[names.size()];
        long[] lengths = new long[names.size()];
        long sum = 0;
        for (int i = 0; i < counts.length; i++) {
            counts[i] = rows.get(i);
            sum += hasWeights ? 2L * counts[i] : counts[i];
            if (sum > SegmentLayout.MOST) {
                throw new IllegalArgumentException(names.get(i) + " has " + counts[i]
                        + " rows, with which the clipper has more than the " + SegmentLayout.MOST
                        + " that it can have; a tensor without rows is one");
            }
            lengths[i] = shapes.get(i).length();
        }
        return new SegmentLayout(counts, lengths, hasWeights);
    }

    private static TensorMemory memoryOf(GradientBuffer buffer) {
        return buffer instanceof HostBuffer host ? host.hostMemory : ((DeviceBuffer) buffer).deviceMemory;
    }

    /** Collects the memory of each buffer; null stays null. */
    static void memoryOf(List<? extends @Nullable GradientBuffer> buffers, @Nullable TensorMemory[] into) {
        for (int i = 0; i < into.length; i++) {
            GradientBuffer buffer = buffers.get(i);
            into[i] = buffer == null ? null : memoryOf(buffer);
        }
    }

    /** Lists the gradients and then, where there are any, their weights. */
    TensorList tensors() {
        List<@Nullable GradientBuffer> buffers = allBound();
        @Nullable TensorMemory[] memory = new TensorMemory[buffers.size()];
        memoryOf(buffers, memory);
        List<TensorMemory> shapesOfAll = new ArrayList<>(memory.length);
        for (GradientBuffer shape : shapes) shapesOfAll.add(memoryOf(shape));
        for (int i = names.size(); i < memory.length; i++) {
            GradientBuffer shape = weightsShapes.get(i - names.size());
            shapesOfAll.add(shape == null ? shapesOfAll.get(i - names.size()) : memoryOf(shape));
        }
        return new TensorList(names, segments(), strided, groupStarts.size(), shapesOfAll, Arrays.asList(memory));
    }

    private String name(int entry) {
        return entry < names.size() ? names.get(entry) : "the parameter of " + names.get(entry - names.size());
    }

    private List<@Nullable GradientBuffer> allBound() {
        if (!hasWeights) return bound;
        List<@Nullable GradientBuffer> all = new ArrayList<>(bound);
        all.addAll(weights);
        return all;
    }

    /** The names added so far. */
    public List<String> names() {
        return List.copyOf(names);
    }

    /**
     * Begins a named group: the tensors added from here to the next group.
     *
     * @throws IllegalArgumentException if the name is taken
     */
    public GradientClipperBuilder group(String name) {
        if (groupStarts.putIfAbsent(name, names.size()) != null) {
            throw new IllegalArgumentException("there are two groups named '" + name + "'");
        }
        return this;
    }

    /**
     * Sets another backend than the default for the buffers' side: {@link Backend#preferred} for the host, CUDA for a
     * device. CUDA must be set only where every tensor is declared without memory.
     *
     * @throws BackendUnavailableException from {@link #build} if the backend can't run here
     * @throws IllegalArgumentException from {@link #build} if the backend can't reach the memory of a buffer
     */
    public GradientClipperBuilder backend(Backend choice) {
        backend = choice;
        return this;
    }

    /**
     * Sets how many threads work at most, the calling one included; {@link Backend#defaultThreads} by default. Small
     * work stays on the calling thread. The bits of norms and elements do not depend on the number.
     *
     * @throws IllegalArgumentException if threads is below 1
     */
    public GradientClipperBuilder threads(int threads) {
        requireThreads(threads);
        team = Workers.ofThreads(threads);
        return this;
    }

    /**
     * Sets an executor whose tasks help the calling thread, up to {@code threads - 1} at a time. The calling thread
     * does itself what the executor rejects by a {@link java.util.concurrent.RejectedExecutionException}.
     *
     * @throws IllegalArgumentException if threads is below 1
     */
    public GradientClipperBuilder executor(Executor executor, int threads) {
        requireThreads(threads);
        team = Workers.of(Objects.requireNonNull(executor, "executor"), threads);
        return this;
    }

    /**
     * Lets the calling thread work with the OpenMP threads that a native library of this process keeps for it, as many
     * as the library uses itself. Where a framework's threads spin while idle, helper threads of gradclip would compete
     * with them for their cores. Where the library is not loaded or does not use OpenMP, this is {@link #threads} with
     * {@link Backend#defaultThreads}.
     *
     * <pre>{@code
     * builder.openMpThreads("libtorch_cpu.so")
     * }</pre>
     *
     * @param library the library's file name
     */
    public GradientClipperBuilder openMpThreads(String library) {
        team = Workers.ofOpenMp(Objects.requireNonNull(library, "library"));
        return this;
    }

    /**
     * Works with OpenMP threads as {@link #openMpThreads(String)} does, with a given number of them. Where that is not
     * the number that the library uses, OpenMP ends and starts threads in turn.
     *
     * @throws IllegalArgumentException if threads is below 1
     */
    public GradientClipperBuilder openMpThreads(String library, int threads) {
        requireThreads(threads);
        team = Workers.ofOpenMp(Objects.requireNonNull(library, "library"), threads);
        return this;
    }

    private static void requireThreads(int threads) {
        if (threads < 1) throw new IllegalArgumentException("threads must be 1 or more, but is " + threads);
    }

    /** Sets the listener that receives a report of each clip; {@link ClipListener#andThen} joins several. */
    public GradientClipperBuilder listener(ClipListener told) {
        listener = Objects.requireNonNull(told, "listener");
        return this;
    }

    /** The listener set, or null if there is none. */
    public @Nullable ClipListener listener() {
        return listener;
    }

    /** Sets the SIMD level of the native backend, for tests. */
    GradientClipperBuilder level(int simdLevel) {
        level = simdLevel;
        return this;
    }

    /**
     * Leaves a clipper unreported that is garbage collected without {@link GradientClipper#close}. Use it for clippers
     * of host memory, which hold nothing outside the heap, that live for one call or are dropped on purpose.
     */
    public GradientClipperBuilder withoutLeakReport() {
        watched = false;
        return this;
    }

    /**
     * Builds the clipper.
     *
     * @throws BackendUnavailableException if the backend chosen can't run here
     * @throws IllegalArgumentException if tensors are on different sides or devices, two share memory, or the memory of
     *     one is not as declared
     */
    public GradientClipper build() {
        return new GradientClipper(this);
    }

    Map<String, TensorRange> groups() {
        return TensorRange.of(groupStarts, names.size());
    }

    /** Returns the backend for these buffers, which must be available and reach them; nothing is copied silently. */
    Backend resolve() {
        List<@Nullable GradientBuffer> buffers = allBound();
        int host = -1;
        int device = -1;
        for (int i = 0; i < buffers.size(); i++) {
            if (buffers.get(i) instanceof HostBuffer) host = i;
            else if (buffers.get(i) instanceof DeviceBuffer) device = i;
        }
        if (host >= 0 && device >= 0) {
            throw new IllegalArgumentException(name(host) + " is in host memory, but " + name(device)
                    + " is in device memory; copy one to the other's side (DeviceBuffer.copyFrom, copyTo), or build a "
                    + "clipper for each side");
        }
        Backend resolved = backend != null ? backend : device >= 0 ? Backend.CUDA : Backend.preferred();
        resolved.require();
        if (resolved == Backend.CUDA && host >= 0) {
            throw new IllegalArgumentException(name(host) + " is in host memory, which backend CUDA does not reach; "
                    + "copy it with DeviceBuffer.allocate and copyFrom, or leave the backend to the buffers");
        }
        if (resolved != Backend.CUDA && device >= 0) {
            throw new IllegalArgumentException(name(device) + " is in device memory, which backend " + resolved
                    + " does not reach; leave the backend to the buffers, or copy it with DeviceBuffer.copyTo");
        }
        return resolved;
    }

    CpuPlan plan(Backend cpu, List<List<Piece>> segments) {
        Workers helpers = team == null ? Workers.ofThreads(Workers.defaultThreads()) : team;
        if (cpu == Backend.JAVA) return CpuPlan.java(segments, helpers);
        return CpuPlan.nativeCpu(
                segments, helpers, level < 0 ? NativeLibrary.instance().level() : level);
    }
}
