// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.micrometer;

import dev.gradclip.ClipEvent;
import dev.gradclip.ClipListener;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Meters of one or more clippers: {@code gradclip.norm}, a distribution summary of finite norms; {@code gradclip.clips},
 * {@code gradclip.nonfinite} and {@code gradclip.skipped}, counters; {@code gradclip.clipped.fraction}, the share of
 * all clips so far that changed gradients, NaN before the first. Norms seen before {@link #bindTo} are not in the
 * summary; the counts are.
 *
 * <pre>{@code
 * ClipMetrics metrics = new ClipMetrics(Tags.of("model", "encoder"));
 * metrics.bindTo(registry);
 * GradientClipper clipper = GradientClipper.builder().add(gradient).listener(metrics).build();
 * }</pre>
 */
public final class ClipMetrics implements MeterBinder, ClipListener {
    private final Iterable<Tag> tags;
    private final List<DistributionSummary> summaries = new CopyOnWriteArrayList<>();
    private final AtomicLong clips = new AtomicLong();
    private final AtomicLong clipped = new AtomicLong();
    private final AtomicLong nonFinite = new AtomicLong();
    private final AtomicLong skipped = new AtomicLong();

    /** Meters without tags. */
    public ClipMetrics() {
        this(Tags.empty());
    }

    /** @param tags of all meters, to tell models apart */
    public ClipMetrics(Iterable<Tag> tags) {
        this.tags = tags;
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        summaries.add(DistributionSummary.builder("gradclip.norm")
                .description("Gradient norm before clipping")
                .tags(tags)
                .register(registry));
        FunctionCounter.builder("gradclip.clips", clips, AtomicLong::get)
                .description("Clips")
                .tags(tags)
                .register(registry);
        FunctionCounter.builder("gradclip.nonfinite", nonFinite, AtomicLong::get)
                .description("Clips that found a NaN or an infinity")
                .tags(tags)
                .register(registry);
        FunctionCounter.builder("gradclip.skipped", skipped, AtomicLong::get)
                .description("Steps that were left out, by the policy SKIP or by a rule that skips spikes")
                .tags(tags)
                .register(registry);
        Gauge.builder("gradclip.clipped.fraction", this, ClipMetrics::clippedFraction)
                .description("Share of clips that changed gradients")
                .tags(tags)
                .register(registry);
    }

    @Override
    public void onClip(ClipEvent event) {
        if (event.clipped()) clipped.incrementAndGet();
        if (event.nonFinite()) nonFinite.incrementAndGet();
        if (event.skipped()) skipped.incrementAndGet();
        clips.incrementAndGet();
        if (!Double.isFinite(event.globalNorm())) return;
        for (DistributionSummary summary : summaries) summary.record(event.globalNorm());
    }

    private double clippedFraction() {
        return (double) clipped.get() / clips.get();
    }
}
