// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * The {@link GradientClipper} for the host tensors of this step, whatever they were in the last: rebound where they are of the same
 * names, types and lengths, made anew where not. For adapters to frameworks; one thread at a time.
 *
 * <pre>{@code
 * ClipResult result = binding.bind(names, buffers).clip(rule);
 * }</pre>
 */
public final class StepBinding implements AutoCloseable {
    private final Supplier<GradientClipperBuilder> settings;
    private List<String> names = List.of();
    private HostBuffer[] shapes = {};
    private UnaryOperator<ClipEvent> told = event -> event;
    private @Nullable GradientClipper clipper;

    /** Clippers on the best backend with as many threads as are good. */
    public StepBinding() {
        this(GradientClipper::builder);
    }

    /** Clippers of the backend and threads that a builder, new each time, is given. */
    public StepBinding(Supplier<GradientClipperBuilder> settings) {
        this.settings = settings;
    }

    /**
     * As {@link #StepBinding(Supplier)}, each builder then given to the caller of an adapter: for a listener, threads, another backend.
     *
     * @throws IllegalArgumentException if a setting can't be, or adds tensors
     */
    public StepBinding(Supplier<GradientClipperBuilder> defaults, Consumer<GradientClipperBuilder> settings) {
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
        if (!builder.names.isEmpty()) {
            throw new IllegalArgumentException("the settings add '" + builder.names.get(0)
                    + "', but the framework has the tensors; set a listener, threads, an executor or a backend");
        }
    }

    /** What a listener is told, made of what the clip found: for an adapter that clips a multiple of the gradients. */
    public StepBinding tell(UnaryOperator<ClipEvent> events) {
        told = events;
        return this;
    }

    /**
     * A clipper bound to these, good until the next call; not to be closed. Null is a gradient that is absent, which keeps its
     * place.
     *
     * @throws IllegalArgumentException if there are not as many buffers as names, a name is there twice, or two buffers share
     *     memory
     */
    public GradientClipper bind(List<String> tensorNames, List<? extends @Nullable HostBuffer> buffers) {
        if (tensorNames.size() != buffers.size()) {
            throw new IllegalArgumentException(
                    "there are " + tensorNames.size() + " names for " + buffers.size() + " buffers");
        }
        GradientClipper now = clipper;
        if (now != null && fits(tensorNames, buffers)) {
            now.rebind(buffers);
            return now;
        }
        return rebuild(tensorNames, buffers);
    }

    private boolean fits(List<String> tensorNames, List<? extends @Nullable HostBuffer> buffers) {
        if (!names.equals(tensorNames)) return false;
        for (int i = 0; i < shapes.length; i++) {
            HostBuffer buffer = buffers.get(i);
            if (buffer != null && !sameShape(shapes[i], buffer)) return false;
        }
        return true;
    }

    private static boolean sameShape(HostBuffer shape, HostBuffer buffer) {
        if (shape.dtype() != buffer.dtype() || shape.pieces.size() != buffer.pieces.size()) return false;
        for (int i = 0; i < shape.pieces.size(); i++) {
            if (shape.pieces.get(i).length() != buffer.pieces.get(i).length()) return false;
        }
        return true;
    }

    private GradientClipper rebuild(List<String> tensorNames, List<? extends @Nullable HostBuffer> buffers) {
        boolean sameNames = names.equals(tensorNames);
        HostBuffer[] newShapes = new HostBuffer[buffers.size()];
        // On the host a clipper holds nothing but memory, so one that is forgotten is no leak.
        GradientClipperBuilder builder = settings.get().unwatched();
        ClipListener listener = builder.listener;
        if (listener != null) builder.listener(event -> listener.onClip(told.apply(event)));
        for (int i = 0; i < newShapes.length; i++) {
            HostBuffer buffer = buffers.get(i);
            if (buffer != null) {
                newShapes[i] = buffer.shape();
                builder.add(tensorNames.get(i), buffer);
            } else {
                // One that has been absent all along has no length yet; its first appearance rebuilds.
                HostBuffer shape = sameNames ? shapes[i] : HostBuffer.shape(DType.FLOAT32, 0);
                newShapes[i] = HostBuffer.shape(shape.dtype(), shape.length());
                builder.declare(tensorNames.get(i), shape.dtype(), shape.length());
            }
        }
        GradientClipper built = builder.build();
        close();
        names = List.copyOf(tensorNames);
        shapes = newShapes;
        clipper = built;
        return built;
    }

    /** Closes the latest clipper; the next {@link #bind} makes another. */
    @Override
    public void close() {
        if (clipper != null) clipper.close();
        clipper = null;
    }
}
