// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import dev.gradclip.AdamUpdate;
import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.GradientBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.SgdUpdate;
import dev.gradclip.Update;
import java.util.List;

/**
 * A clipper of gradients and their weights, and calls that clip and update, in one and one after the other. The update
 * after a clip is this library's own with a limit that no gradient reaches, so that both ways have the same loops and
 * threads and differ in the passes over memory alone.
 */
public final class UpdateWorkload implements AutoCloseable {
    /** So small that weights stay ordinary numbers in any number of calls that is timed. */
    private static final double RATE = 1e-6;

    private static final ClipRule NO_CLIP = ClipRule.value(Float.MAX_VALUE);

    private final Shape shape;
    private final Update update;
    private final GradientSet gradients;
    private final GradientSet weights;
    private final GradientClipper clipper;

    /**
     * Allocates, fills and binds gradients and weights.
     *
     * @param update whose rate is replaced by a tiny one
     */
    public UpdateWorkload(Shape shape, Backend backend, int threads, Update update) {
        this.shape = shape;
        this.update = update.withLearningRate(RATE);
        gradients = new GradientSet(shape, backend);
        weights = new GradientSet(shape, backend);
        gradients.ordinary();
        weights.ordinary();
        GradientClipperBuilder builder =
                GradientClipper.builder().backend(backend).threads(threads);
        List<GradientBuffer> weightBuffers = weights.buffers();
        for (int i = 0; i < weightBuffers.size(); i++) {
            builder.add(gradients.buffers().get(i)).weights(weightBuffers.get(i));
        }
        clipper = builder.build();
    }

    /** Returns the bytes of gradients, weights and state. */
    public static long footprint(Shape shape, Update update) {
        return 2 * shape.bytes() + stateBytes(shape, update);
    }

    private static long stateBytes(Shape shape, Update update) {
        int states = update instanceof AdamUpdate ? 2 : ((SgdUpdate) update).momentum() > 0 ? 1 : 0;
        return states
                * shape.tensors().stream()
                        .mapToLong(tensor -> tensor.length()
                                * Math.max(Float.BYTES, tensor.dtype().bytes()))
                        .sum();
    }

    /**
     * Returns a call, which checks that its clip bites, also where the calls of both cases take turns.
     *
     * @throws IllegalArgumentException if the case is none of {@link Case#UPDATES}
     */
    public Runnable prepare(Case what) {
        requireUpdate(what);
        double norm = clipper.globalNorm();
        if (what == Case.STEP) {
            ClipRule half = ClipRule.globalNorm(norm / 2);
            return () -> requireClipped(clipper.step(update, half));
        }
        BitingThreshold threshold = new BitingThreshold(shape, norm);
        return () -> {
            requireClipped(clipper.clip(ClipRule.globalNorm(threshold.next())));
            clipper.step(update, NO_CLIP);
        };
    }

    /**
     * Returns what one call has to read and to write: the gradients twice, and weights and state back; a clip by itself
     * writes the gradients, too.
     */
    public Traffic traffic(Case what) {
        requireUpdate(what);
        long bytes = shape.bytes();
        long kept = bytes + stateBytes(shape, update);
        return what == Case.STEP ? Traffic.of(2 * bytes, kept) : Traffic.of(2 * bytes, bytes + kept);
    }

    private static void requireUpdate(Case what) {
        if (!Case.UPDATES.contains(what)) {
            throw new IllegalArgumentException("a Workload does this, not an UpdateWorkload: " + what.title());
        }
    }

    private static void requireClipped(ClipResult result) {
        if (!result.clipped()) throw new IllegalStateException("the clip is to bite, but gave " + result);
    }

    @Override
    public void close() {
        clipper.close();
        gradients.close();
        weights.close();
    }
}
