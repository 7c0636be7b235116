// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.GradientBuffer;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.measure.GradientSet;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Times;
import java.util.ArrayList;
import java.util.List;

/**
 * A training step that finds some gradients elsewhere: each is bound, in turn, to one of two places with the same
 * values.
 */
final class RebindTimes {
    private final List<List<GradientBuffer>> places;
    private final GradientClipper clipper;
    private double threshold;
    private int turn;

    private RebindTimes(List<List<GradientBuffer>> places, GradientClipper clipper) {
        this.places = places;
        this.clipper = clipper;
        // Both places begin equal; whichever was not clipped last is a little above the threshold, so the clip bites.
        this.threshold = clipper.globalNorm();
    }

    static Scaling.Rebind measure(Shape shape, int moved, Backend backend, int threads, double seconds) {
        try (GradientSet first = new GradientSet(shape, backend);
                GradientSet second = new GradientSet(shape, backend)) {
            first.ordinary();
            second.ordinary();
            List<GradientBuffer> other = new ArrayList<>(first.buffers());
            for (int i = 0; i < moved; i++) {
                int spread = (int) ((long) i * shape.tensors().size() / moved);
                other.set(spread, second.buffers().get(spread));
            }
            GradientClipperBuilder builder =
                    GradientClipper.builder().backend(backend).threads(threads);
            first.buffers().forEach(builder::add);
            try (GradientClipper clipper = builder.build()) {
                RebindTimes steps = new RebindTimes(List.of(first.buffers(), List.copyOf(other)), clipper);
                Times step = Times.of(steps::step, seconds);
                Times rebind = Times.of(steps::rebind, seconds);
                return new Scaling.Rebind(shape.tensors().size(), moved, rebind, step);
            }
        }
    }

    private void rebind() {
        clipper.rebind(places.get(++turn & 1));
    }

    private void step() {
        rebind();
        threshold *= 1 - 1e-6;
        ClipResult result = clipper.clipByGlobalNorm(threshold);
        if (!result.clipped()) throw new IllegalStateException("the clip did not bite: " + result);
    }
}
