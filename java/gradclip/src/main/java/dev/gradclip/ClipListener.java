// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Objects;

/**
 * Is told of each clip and each decision of a {@link GradientClipper}, in their order, on the thread that calls the clipper.
 *
 * <p>Nothing waits for it: of an {@code …Async} clip on a device it hears once the figures are there, during a later call of the
 * clipper, at {@link GradientClipper#poll} or at {@code close}. Launches of a {@link CapturedClip} are not reported, nor are norms
 * alone, by {@link GradientClipper#globalNorm()} or {@link GradientClipper#measure(String)}: a norm that is logged before the clip
 * would count twice. Clip by {@link ClipRule#globalNorm} of infinity to be told of norms without a change. The clipper
 * is in use while a listener runs, so it can't be called from there.
 *
 * <p>An Exception from a listener is logged, the first one of each clipper, to the {@link System.Logger} {@code dev.gradclip};
 * the clip goes on as if nothing had happened, and the listener hears of the next one. An Error passes to the caller, when the
 * gradients are already clipped.
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
    /** A clip is done. */
    void onClip(ClipEvent event);

    /** Tells this listener and then another one, which hears nothing of a clip at which this one throws. */
    default ClipListener andThen(ClipListener next) {
        Objects.requireNonNull(next, "next");
        return event -> {
            onClip(event);
            next.onClip(event);
        };
    }
}
