// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.adapter;

import dev.gradclip.ClipEvent;
import dev.gradclip.ClipListener;
import dev.gradclip.DType;
import dev.gradclip.DeviceBuffer;
import dev.gradclip.GradientBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Finds the {@link GradientClipper} for this step's tensors, on the host or on a device: the clipper of the step before
 * is rebound where names, types and lengths are the same, and another is made where they are not. One thread at a time
 * uses it.
 *
 * <pre>{@code
 * StepClipper clippers = new StepClipper();
 * ClipResult result = clippers.bind(names, buffers).clip(rule); // each step
 * }</pre>
 */
public final class StepClipper implements AutoCloseable {
    private final Supplier<GradientClipperBuilder> settings;
    private List<String> names = List.of();
    private DType[] dtypes = {};
    private long[] lengths = {};
    private @Nullable DType @Nullable [] weightTypes;
    private Units units = Units.NONE;
    private UnaryOperator<ClipEvent> told = event -> event;
    private @Nullable GradientClipper clipper;

    /** Makes clippers on the best backend, with as many threads as are good. */
    public StepClipper() {
        this(GradientClipper::builder);
    }

    /** Makes clippers of the backend and threads that a builder, new each time, is given. */
    public StepClipper(Supplier<GradientClipperBuilder> settings) {
        this.settings = settings;
    }

    /**
     * Makes clippers of a builder that is new each time and then given to the user of an adapter: for a listener,
     * threads, another backend.
     *
     * @throws IllegalArgumentException if a setting can't be, or adds tensors
     */
    public StepClipper(Supplier<GradientClipperBuilder> defaults, Consumer<GradientClipperBuilder> settings) {
        this(() -> {
            GradientClipperBuilder builder = defaults.get();
            settings.accept(builder);
            return builder;
        });
        check(settings);
    }

    /**
     * Says at once what is wrong with settings, and not at the first clip.
     *
     * @throws IllegalArgumentException if a setting can't be, or adds tensors
     */
    public static void check(Consumer<GradientClipperBuilder> settings) {
        GradientClipperBuilder builder = GradientClipper.builder();
        settings.accept(builder);
        if (!builder.names().isEmpty()) {
            throw new IllegalArgumentException(
                    "the settings add '" + builder.names().get(0)
                            + "', but the framework has the tensors; set a listener, threads, an executor or a "
                            + "backend");
        }
    }

    /** Changes the events that a listener is told, for an adapter that clips a multiple of the gradients. */
    public StepClipper tell(UnaryOperator<ClipEvent> events) {
        told = events;
        return this;
    }

    /**
     * A clipper bound to these buffers, good until the next call; the caller does not close it. A null is a gradient
     * that is absent, which keeps its place. The state of updates is let go of where weights were bound before. What rules
     * with a {@link dev.gradclip.History} remember goes on, by the names of tensors.
     *
     * @throws IllegalArgumentException if there are not as many buffers as names, a name is there twice, two buffers
     *     share memory, or they are on different sides
     */
    public GradientClipper bind(List<String> tensorNames, List<? extends @Nullable GradientBuffer> buffers) {
        return bindTo(tensorNames, buffers, null, Units.NONE);
    }

    /**
     * A clipper bound to these gradients and their weights, for {@link GradientClipper#step}: {@link #bind(List, List)}.
     * Weights are there where gradients are absent, too. One that is made anew goes on with the updates' state, as long
     * as names, lengths and types of weights are the same.
     *
     * @throws IllegalArgumentException as {@link #bind(List, List)}, or naming weights that are not as long as their
     *     gradient, or the state of a tensor that is another now
     */
    public GradientClipper bind(
            List<String> tensorNames,
            List<? extends @Nullable GradientBuffer> buffers,
            List<? extends GradientBuffer> weights) {
        requireCount(tensorNames, weights);
        return bindTo(tensorNames, buffers, weights, Units.NONE);
    }

    /**
     * A clipper bound to these gradients, in rows, and their weights: {@link #bind(List, List, List)}, for rules by rows
     * or units.
     *
     * <pre>{@code
     * clippers.bind(names, buffers, weights, new int[] {64, 0}).clip(ClipRule.adaptive(0.01)); // a kernel and a bias
     * }</pre>
     *
     * @param rows the rows of each tensor, {@link GradientClipperBuilder#rows}; 0 for one without
     * @throws IllegalArgumentException as {@link #bind(List, List, List)}, or if a number of rows is not right
     */
    public GradientClipper bind(
            List<String> tensorNames,
            List<? extends @Nullable GradientBuffer> buffers,
            List<? extends GradientBuffer> weights,
            int[] rows) {
        requireCount(tensorNames, weights);
        if (rows.length != tensorNames.size()) {
            throw new IllegalArgumentException(
                    "there are " + rows.length + " numbers of rows for " + tensorNames.size() + " tensors");
        }
        return bindTo(tensorNames, buffers, weights, Units.rows(rows));
    }

    /**
     * A clipper bound to these gradients, in units along an axis, and their weights: {@link #bind(List, List, List)},
     * for rules by rows or units of a framework that does not keep a layer's outputs along the first axis.
     *
     * <pre>{@code
     * // A kernel [3, 3, in, out] and a bias.
     * List<long[]> shapes = List.of(new long[] {3, 3, 64, 128}, new long[] {128});
     * clippers.bind(names, buffers, weights, -1, shapes).clip(ClipRule.adaptive(0.01));
     * }</pre>
     *
     * @param axis the axis of the units of each tensor with two dimensions or more, {@link
     *     GradientClipperBuilder#units}; the others are one unit each
     * @param shapes the shape of each tensor
     * @throws IllegalArgumentException as {@link #bind(List, List, List)}, or if a shape is not right
     */
    public GradientClipper bind(
            List<String> tensorNames,
            List<? extends @Nullable GradientBuffer> buffers,
            List<? extends GradientBuffer> weights,
            int axis,
            List<long[]> shapes) {
        requireCount(tensorNames, weights);
        if (shapes.size() != tensorNames.size()) {
            throw new IllegalArgumentException(
                    "there are " + shapes.size() + " shapes for " + tensorNames.size() + " tensors");
        }
        return bindTo(tensorNames, buffers, weights, Units.along(axis, shapes));
    }

    private GradientClipper bindTo(
            List<String> tensorNames,
            List<? extends @Nullable GradientBuffer> buffers,
            @Nullable List<? extends GradientBuffer> weights,
            Units newUnits) {
        requireCount(tensorNames, buffers);
        GradientClipper now = clipper;
        boolean same = names.equals(tensorNames) && units.sameAs(newUnits) && sameWeights(weights);
        if (now != null && same && now.fits(buffers)) {
            now.rebind(buffers);
            if (weights != null) now.rebindWeights(weights);
            return now;
        }
        return rebuild(tensorNames, buffers, weights, newUnits);
    }

    private static void requireCount(List<String> tensorNames, List<?> buffers) {
        if (tensorNames.size() != buffers.size()) {
            throw new IllegalArgumentException(
                    "there are " + tensorNames.size() + " names for " + buffers.size() + " buffers");
        }
    }

    private boolean sameWeights(@Nullable List<? extends GradientBuffer> weights) {
        if (weights == null || weightTypes == null) return weights == null && weightTypes == null;
        for (int i = 0; i < lengths.length; i++) {
            if (weights.get(i).dtype() != weightTypes[i] || weights.get(i).length() != lengths[i]) return false;
        }
        return true;
    }

    private GradientClipper rebuild(
            List<String> tensorNames,
            List<? extends @Nullable GradientBuffer> buffers,
            @Nullable List<? extends GradientBuffer> weights,
            Units newUnits) {
        boolean sameNames = names.equals(tensorNames);
        DType[] newDtypes = new DType[buffers.size()];
        long[] newLengths = new long[buffers.size()];
        GradientClipperBuilder builder = settings.get();
        // On the host a clipper holds nothing but memory, so one that is forgotten is no leak.
        if (buffers.stream().noneMatch(DeviceBuffer.class::isInstance)) builder.withoutLeakReport();
        ClipListener listener = builder.listener();
        if (listener != null) builder.listener(telling(listener));
        for (int i = 0; i < newDtypes.length; i++) {
            GradientBuffer buffer = buffers.get(i);
            if (buffer != null) {
                newDtypes[i] = buffer.dtype();
                newLengths[i] = buffer.length();
                builder.add(tensorNames.get(i), buffer);
            } else {
                // One that has been absent all along has its weights' length, or none yet; then its first appearance
                // rebuilds.
                GradientBuffer beside = weights == null ? null : weights.get(i);
                boolean known = sameNames && (beside == null || weightTypes != null);
                newDtypes[i] = known ? dtypes[i] : beside == null ? DType.FLOAT32 : beside.dtype();
                newLengths[i] = beside != null ? beside.length() : known ? lengths[i] : 0;
                builder.declare(tensorNames.get(i), newDtypes[i], newLengths[i]);
            }
            newUnits.declare(builder, i);
            if (weights != null) builder.weights(weights.get(i));
        }
        GradientClipper built = builder.build();
        try {
            if (clipper != null) built.continueHistories(clipper);
            if (clipper != null && weights != null && weightTypes != null)
                built.state().copyFrom(clipper.state());
        } catch (Throwable e) {
            built.close();
            throw e;
        }
        close();
        names = List.copyOf(tensorNames);
        dtypes = newDtypes;
        lengths = newLengths;
        units = newUnits.copy();
        weightTypes = weights == null
                ? null
                : weights.stream().map(GradientBuffer::dtype).toArray(DType[]::new);
        clipper = built;
        return built;
    }

    private ClipListener telling(ClipListener listener) {
        return new ClipListener() {
            @Override
            public void onClip(ClipEvent event) {
                listener.onClip(told.apply(event));
            }

            @Override
            public boolean wantsTensorNorms(long step) {
                return listener.wantsTensorNorms(step);
            }
        };
    }

    /** Closes the latest clipper; the next {@link #bind} makes another. */
    @Override
    public void close() {
        if (clipper != null) clipper.close();
        clipper = null;
    }
}
