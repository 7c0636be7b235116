// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;

/**
 * A clipper of a {@link GradientSet}, and calls that do the same however often they are repeated. In place, a clip
 * makes the next one a no-op; so each threshold and each limit is a little below what the call before left. In 16 bits,
 * where every product by nearly 1 rounds back to what it was, one threshold bites for ever.
 */
public final class Workload implements AutoCloseable {
    /**
     * The outliers' value, far above what {@link GradientSet#ordinary} fills in: no ordinary element is ever clamped.
     */
    private static final float TOP = 0x1p126f;

    private static final float BOTTOM = 2;

    private final GradientSet set;
    private final GradientClipper clipper;
    private final double norm;
    private final BitingThreshold threshold;
    private float limit;

    /**
     * Binds and fills.
     *
     * @throws IllegalArgumentException if a type has not the range of FLOAT32, which the clamps need
     */
    public Workload(GradientSet set, Backend backend, int threads) {
        for (Shape.Tensor tensor : set.shape().tensors()) {
            if (tensor.dtype() != DType.FLOAT32 && tensor.dtype() != DType.BFLOAT16) {
                throw new IllegalArgumentException("gradients are FLOAT32 or BFLOAT16 here, not " + tensor.dtype());
            }
        }
        this.set = set;
        GradientClipperBuilder builder =
                GradientClipper.builder().backend(backend).threads(threads);
        set.buffers().forEach(builder::add);
        clipper = builder.build();
        set.ordinary();
        norm = clipper.globalNorm();
        threshold = new BitingThreshold(set.shape(), norm);
    }

    /**
     * Brings the gradients into the state of a case, {@link Case#CLAMP} last; each call returned checks that it is the
     * case.
     *
     * @throws IllegalArgumentException if the case is none of {@link Case#CLIPS}
     */
    public Runnable prepare(Case what) {
        return switch (what) {
            case NORM -> clipper::globalNorm;
            case DOES_NOT_BITE -> this::doesNotBite;
            case BITES -> this::bites;
            case CLAMP -> {
                plant();
                yield this::clamp;
            }
            case STEP, CLIP_THEN_UPDATE -> throw noClip(what);
        };
    }

    /** Returns what one call has to read and to write; a clamp rewrites the 64-byte lines that change, read already. */
    public Traffic traffic(Case what) {
        long bytes = set.shape().bytes();
        return switch (what) {
            case NORM, DOES_NOT_BITE -> Traffic.of(bytes, 0);
            case BITES -> Traffic.of(bytes, bytes);
            case CLAMP -> new Traffic(bytes, set.touched(), bytes + set.touched());
            case STEP, CLIP_THEN_UPDATE -> throw noClip(what);
        };
    }

    private static IllegalArgumentException noClip(Case what) {
        return new IllegalArgumentException("an UpdateWorkload does this, not a Workload: " + what.title());
    }

    private void doesNotBite() {
        require(Case.DOES_NOT_BITE, clipper.clip(ClipRule.globalNorm(2 * norm)), false);
    }

    private void bites() {
        require(Case.BITES, clipper.clip(ClipRule.globalNorm(threshold.next())), true);
    }

    /** Every step is one of BFLOAT16, so the limit is exact in both types: 16,000 clamps from top to bottom. */
    private void clamp() {
        limit = Float.intBitsToFloat(Float.floatToRawIntBits(limit) - 0x10000);
        if (limit < BOTTOM) plant();
        ClipResult result = clipper.clipByValue(limit);
        if (result.elementsChanged() != set.changed()) {
            throw new IllegalStateException(
                    "the clamp changed " + result.elementsChanged() + " elements and not " + set.changed());
        }
    }

    private void plant() {
        set.outliers(TOP);
        limit = Float.intBitsToFloat(Float.floatToRawIntBits(TOP) - 0x10000);
    }

    private static void require(Case what, ClipResult result, boolean clipped) {
        if (result.clipped() != clipped) throw new IllegalStateException(what.title() + " gave " + result);
    }

    @Override
    public void close() {
        clipper.close();
    }
}
