// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Objects;

/**
 * Receives a report of each clip and each decision of a {@link GradientClipper}, in their order, on the thread that
 * calls the clipper.
 *
 * <p>A report makes no call wait: an {@code …Async} clip on a device is reported once its figures have arrived,
 * during a later call of the clipper, at {@link GradientClipper#poll} or at {@code close}. Launches of a
 * {@link CapturedClip} are not reported. Norms alone, by {@link GradientClipper#globalNorm()} or
 * {@link GradientClipper#measure(String)}, are not either: a norm that is logged before the clip would count twice. To
 * receive norms without changing gradients, clip by {@link ClipRule#globalNorm} of infinity. The clipper is in use
 * while a listener runs, so a listener can't call it.
 *
 * <p>An Exception that a listener throws does not affect the clip, and the listener still receives the next report; the
 * first one of each clipper is logged to the {@link System.Logger} {@code dev.gradclip}. An Error passes to the caller,
 * when the gradients are already clipped.
 *
 * <pre>{@code
 * NormHistory history = new NormHistory(1000);
 * GradientClipper clipper = GradientClipper.builder()
 *         .add("weights", HostBuffer.wrap(weights))
 *         .listener(history)
 *         .build();
 * }</pre>
 */
@FunctionalInterface
public interface ClipListener {
    /** Receives the report of a clip that is done. */
    void onClip(ClipEvent event);

    /**
     * Returns true if the report of this step is to hold {@link ClipEvent#tensorNorms}, for which a map is made; false
     * by default.
     */
    default boolean wantsTensorNorms(long step) {
        return false;
    }

    /**
     * Returns a listener that reports to this one and then to {@code next}. A clip at which this one throws is not
     * reported to {@code next}.
     */
    default ClipListener andThen(ClipListener next) {
        Objects.requireNonNull(next, "next");
        ClipListener first = this;
        return new ClipListener() {
            @Override
            public void onClip(ClipEvent event) {
                first.onClip(event);
                next.onClip(event);
            }

            @Override
            public boolean wantsTensorNorms(long step) {
                return first.wantsTensorNorms(step) || next.wantsTensorNorms(step);
            }
        };
    }
}
