// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.CpuPlan;
import dev.gradclip.internal.NativeLibrary;
import dev.gradclip.internal.Piece;
import dev.gradclip.internal.Team;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/** Collects what a {@link GradientClipper} is bound to. */
public final class GradientClipperBuilder {
    final List<String> names = new ArrayList<>();
    private final Set<String> taken = new HashSet<>();
    final List<GradientBuffer> shapes = new ArrayList<>();
    final List<@Nullable GradientBuffer> bound = new ArrayList<>();
    private final List<Integer> rows = new ArrayList<>();
    private final List<@Nullable GradientBuffer> parameters = new ArrayList<>();
    private final List<@Nullable GradientBuffer> parameterShapes = new ArrayList<>();
    private final Map<String, Integer> groupStarts = new LinkedHashMap<>();
    private @Nullable Backend backend;
    private @Nullable Team team;
    private int level = -1;
    private boolean hasParameters;
    boolean watched = true;

    @Nullable
    ClipListener listener;

    GradientClipperBuilder() {}

    /** A tensor that errors call by its place. */
    public GradientClipperBuilder add(GradientBuffer gradient) {
        return add("tensor " + names.size(), gradient);
    }

    /**
     * The next tensor, under a name that errors give.
     *
     * @throws IllegalArgumentException if the name is taken
     */
    public GradientClipperBuilder add(String name, GradientBuffer gradient) {
        if (gradient == null) throw new NullPointerException("the gradient of " + name + " is null");
        return add(name, gradient, gradient);
    }

    /**
     * The next tensor, absent until {@link GradientClipper#rebind} gives it memory.
     *
     * @throws IllegalArgumentException if the name is taken, or length is negative or beyond what memory can hold
     */
    public GradientClipperBuilder declare(String name, DType dtype, long length) {
        return add(name, shape(name, dtype, length), null);
    }

    private static HostBuffer shape(String name, DType dtype, long length) {
        if (dtype == null) throw new NullPointerException("the type of " + name + " is null");
        try {
            return HostBuffer.shape(dtype, length);
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
        parameters.add(null);
        parameterShapes.add(null);
        return this;
    }

    /**
     * The tensor added last is so many rows of equal length, one after the other: its leading dimension, in which samples or
     * units are counted. Each then has a norm of its own for {@link Scope#ROW}; a norm over more rows is added up row by row, so
     * its last digit may differ from that of the same tensor bound without rows. An empty tensor may have 0.
     *
     * <pre>{@code
     * builder.add("conv1.weight", gradient).rows(64).parameter(weights) // [64, 3, 7, 7]: 64 units
     * }</pre>
     *
     * @throws IllegalArgumentException if that does not divide the length
     * @throws IllegalStateException if no tensor was added
     */
    public GradientClipperBuilder rows(int count) {
        int last = last("rows");
        long length = shapes.get(last).length();
        boolean divides = count == 0 ? length == 0 : count > 0 && length % count == 0;
        if (!divides) {
            throw new IllegalArgumentException(names.get(last) + " has " + length + " elements, which are not " + count
                    + " rows of equal length; rows are the leading dimension of a contiguous tensor: bind parts of another"
                    + " layout as tensors of their own");
        }
        // Nothing is one row of nothing.
        rows.set(last, Math.max(count, 1));
        return this;
    }

    /**
     * The weights that the tensor added last is the gradient of, for {@link ClipRule#adaptive}; never written. They may be of
     * another type, but not of another length.
     *
     * @throws IllegalArgumentException if the length differs
     * @throws IllegalStateException if no tensor was added
     */
    public GradientClipperBuilder parameter(GradientBuffer weights) {
        int last = last("parameter");
        if (weights == null) throw new NullPointerException("the parameter of " + names.get(last) + " is null");
        long length = shapes.get(last).length();
        if (weights.length() != length) {
            throw new IllegalArgumentException("the parameter of " + names.get(last) + " has " + weights.length()
                    + " elements, but its gradient has " + length);
        }
        parameters.set(last, weights);
        parameterShapes.set(last, weights);
        hasParameters = true;
        return this;
    }

    /** As {@link #parameter(GradientBuffer)}, weights that have no memory until {@link GradientClipper#rebindParameters}. */
    public GradientClipperBuilder parameter(DType dtype) {
        int last = last("parameter");
        parameters.set(last, null);
        parameterShapes.set(
                last,
                shape(
                        "the parameter of " + names.get(last),
                        dtype,
                        shapes.get(last).length()));
        hasParameters = true;
        return this;
    }

    private int last(String method) {
        if (names.isEmpty()) throw new IllegalStateException(method + " is about the tensor added last; add one first");
        return names.size() - 1;
    }

    Segments segments() {
        int[] counts = new int[names.size()];
        long[] lengths = new long[names.size()];
        long sum = 0;
        for (int i = 0; i < counts.length; i++) {
            counts[i] = rows.get(i);
            sum += hasParameters ? 2L * counts[i] : counts[i];
            if (sum > Segments.MOST) {
                throw new IllegalArgumentException(names.get(i) + " has " + counts[i]
                        + " rows, with which the clipper has more than the " + Segments.MOST
                        + " that it can have; a tensor without rows is one");
            }
            lengths[i] = shapes.get(i).length();
        }
        return new Segments(counts, lengths, hasParameters);
    }

    /** Type and length of a gradient, or, counted on from the last, of its parameter. */
    GradientBuffer shape(int entry) {
        if (entry < names.size()) return shapes.get(entry);
        GradientBuffer weights = parameterShapes.get(entry - names.size());
        return weights == null ? shapes.get(entry - names.size()) : weights;
    }

    @Nullable
    GradientBuffer bound(int entry) {
        return entry < names.size() ? bound.get(entry) : parameters.get(entry - names.size());
    }

    private String name(int entry) {
        return entry < names.size() ? names.get(entry) : "the parameter of " + names.get(entry - names.size());
    }

    /** The buffers of all gradients, then, where there are any, of their parameters. */
    List<@Nullable GradientBuffer> allBound() {
        if (!hasParameters) return bound;
        List<@Nullable GradientBuffer> all = new ArrayList<>(bound);
        all.addAll(parameters);
        return all;
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
     * Another backend than that of the side where the buffers are: {@link Backend#preferred} for the host, CUDA for a device.
     * CUDA must be named only where every tensor is declared without memory.
     *
     * @throws BackendUnavailableException from {@link #build} if it can't run here
     * @throws IllegalArgumentException from {@link #build} if it can't work where a buffer is
     */
    public GradientClipperBuilder backend(Backend choice) {
        backend = choice;
        return this;
    }

    /**
     * How many threads work at most, the calling one among them; {@link Backend#defaultThreads} unless set. Small work
     * stays on the calling thread. The bits do not depend on it.
     *
     * @throws IllegalArgumentException if it is below 1
     */
    public GradientClipperBuilder threads(int threads) {
        requireThreads(threads);
        team = Team.ofThreads(threads);
        return this;
    }

    /**
     * An executor to help the calling thread, with up to {@code threads - 1} tasks at a time; what it rejects, by a {@link
     * java.util.concurrent.RejectedExecutionException}, the caller does itself.
     *
     * @throws IllegalArgumentException if threads is below 1
     */
    public GradientClipperBuilder executor(Executor executor, int threads) {
        requireThreads(threads);
        team = Team.of(Objects.requireNonNull(executor, "executor"), threads);
        return this;
    }

    /**
     * The calling thread and the OpenMP threads that a native library of this process keeps for it, as many as it uses itself: where
     * a framework's threads spin while it is idle, helpers of our own would fight them for their cores. As {@link #threads}
     * with {@link Backend#defaultThreads} where the library is not loaded or does not use OpenMP.
     *
     * <pre>{@code
     * builder.openMpThreads("libtorch_cpu.so")
     * }</pre>
     *
     * @param library its file name
     */
    public GradientClipperBuilder openMpThreads(String library) {
        team = Team.ofOpenMp(Objects.requireNonNull(library, "library"));
        return this;
    }

    /**
     * As {@link #openMpThreads(String)} with so many threads; where it is not the number that the library uses, OpenMP ends
     * and starts threads in turn.
     *
     * @throws IllegalArgumentException if threads is below 1
     */
    public GradientClipperBuilder openMpThreads(String library, int threads) {
        requireThreads(threads);
        team = Team.ofOpenMp(Objects.requireNonNull(library, "library"), threads);
        return this;
    }

    private static void requireThreads(int threads) {
        if (threads < 1) throw new IllegalArgumentException("threads must be 1 or more, but is " + threads);
    }

    /** Who is told of each clip; {@link ClipListener#andThen} joins several. */
    public GradientClipperBuilder listener(ClipListener told) {
        listener = Objects.requireNonNull(told, "listener");
        return this;
    }

    /** One SIMD level of the native backend, for tests. */
    GradientClipperBuilder level(int simdLevel) {
        level = simdLevel;
        return this;
    }

    /** For clippers that live for one call. */
    GradientClipperBuilder unwatched() {
        watched = false;
        return this;
    }

    /**
     * The clipper.
     *
     * @throws BackendUnavailableException if the backend chosen can't run here
     * @throws IllegalArgumentException if tensors are on different sides or devices, two share memory, or one's memory is not
     *     what it is said to be
     */
    public GradientClipper build() {
        return new GradientClipper(this);
    }

    Map<String, Group> groups() {
        return Group.of(groupStarts, names.size());
    }

    /** Where the work will be done. */
    Backend resolve() {
        return Sides.backend(backend, this::name, allBound());
    }

    CpuPlan plan(Backend cpu, List<List<Piece>> segments) {
        Team helpers = team == null ? Team.ofThreads(Team.defaultThreads()) : team;
        if (cpu == Backend.JAVA) return CpuPlan.java(segments, helpers);
        return CpuPlan.nativeCpu(
                segments, helpers, level < 0 ? NativeLibrary.instance().level() : level);
    }
}
