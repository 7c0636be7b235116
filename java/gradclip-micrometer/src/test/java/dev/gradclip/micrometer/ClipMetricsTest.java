// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.micrometer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;
import dev.gradclip.NonFinitePolicy;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import org.junit.jupiter.api.Test;

/** Real clips, read back from a real registry. */
class ClipMetricsTest {
    private final MeterRegistry registry = new SimpleMeterRegistry();

    private static void clips(ClipMetrics metrics) {
        float[] gradient = {3, 4};
        try (GradientClipper clipper = GradientClipper.builder()
                .add(HostBuffer.wrap(gradient))
                .listener(metrics)
                .build()) {
            clipper.clipByGlobalNorm(10);
            clipper.clipByGlobalNorm(1);
            gradient[0] = Float.NaN;
            clipper.clip(ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.SKIP));
            gradient[0] = 0;
            clipper.clipByValue(100);
        }
    }

    @Test
    void everyMeter() {
        ClipMetrics metrics = new ClipMetrics(Tags.of("model", "encoder"));
        metrics.bindTo(registry);
        assertTrue(
                Double.isNaN(registry.get("gradclip.clipped.fraction").gauge().value()));
        clips(metrics);
        Tags tags = Tags.of("model", "encoder");
        assertEquals(2, registry.get("gradclip.norm").tags(tags).summary().count());
        assertEquals(10, registry.get("gradclip.norm").summary().totalAmount());
        assertEquals(5, registry.get("gradclip.norm").summary().max());
        assertEquals(
                4, registry.get("gradclip.clips").tags(tags).functionCounter().count());
        assertEquals(
                1,
                registry.get("gradclip.nonfinite").tags(tags).functionCounter().count());
        assertEquals(
                0.25,
                registry.get("gradclip.clipped.fraction").tags(tags).gauge().value());
    }

    @Test
    void severalRegistriesAndNone() {
        MeterRegistry other = new SimpleMeterRegistry();
        ClipMetrics metrics = new ClipMetrics();
        clips(metrics);
        metrics.bindTo(registry);
        metrics.bindTo(other);
        clips(metrics);
        assertEquals(8, registry.get("gradclip.clips").functionCounter().count());
        assertEquals(8, other.get("gradclip.clips").functionCounter().count());
        assertEquals(2, registry.get("gradclip.norm").summary().count());
        assertEquals(2, other.get("gradclip.norm").summary().count());
    }

    @Test
    void twoModelsInOneRegistry() {
        ClipMetrics encoder = new ClipMetrics(Tags.of("model", "encoder"));
        ClipMetrics decoder = new ClipMetrics(Tags.of("model", "decoder"));
        encoder.bindTo(registry);
        decoder.bindTo(registry);
        clips(encoder);
        assertEquals(
                4,
                registry.get("gradclip.clips")
                        .tag("model", "encoder")
                        .functionCounter()
                        .count());
        assertEquals(
                0,
                registry.get("gradclip.clips")
                        .tag("model", "decoder")
                        .functionCounter()
                        .count());
    }
}
