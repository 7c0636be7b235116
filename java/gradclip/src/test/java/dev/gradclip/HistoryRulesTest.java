// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Rules with a history over 500 steps of real norms, against what each rule's source gives for them: history.json. */
class HistoryRulesTest {
    private static final JsonNode EXPECTED = read();
    private static final int NOT_FINITE = 250;

    private static JsonNode read() {
        try (InputStream in = HistoryRulesTest.class.getResourceAsStream("history/history.json")) {
            return new ObjectMapper().readTree(Objects.requireNonNull(in));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    /** The rule of each key, for one norm over all. */
    private static final Map<String, NormRule> GLOBAL = new TreeMap<>(Map.of(
            "autoclip", ClipRule.autoClip(),
            "autoclipQuantile", ClipRule.quantileClip().withScope(Scope.ALL),
            "autoclipQuantileShort",
                    ClipRule.globalNorm(Double.POSITIVE_INFINITY).withHistory(new History.Quantile(0.9, 50)),
            "percentile", ClipRule.percentileClip().withScope(Scope.ALL),
            "median", ClipRule.medianClip(),
            "zclip", ClipRule.zClip(),
            "zclipWithoutMaximum", ClipRule.zClip().withMaxNorm(Double.POSITIVE_INFINITY),
            "adagcGlobal", ClipRule.adaGc().withScope(Scope.ALL),
            "growthCap", ClipRule.growthCap().withScope(Scope.ALL),
            "stabilizer", ClipRule.normalize(1).withEpsilon(1e-8).withHistory(new History.Stabilizer(0.7, 0.9))));

    static {
        GLOBAL.put("lagged", ClipRule.laggedNorm(1));
    }

    private static final Map<String, NormRule> OF_TENSORS = new TreeMap<>(Map.of(
            "autoclipQuantile", ClipRule.quantileClip(),
            "percentile", ClipRule.percentileClip(),
            "adagc", ClipRule.adaGc(),
            "growthCap", ClipRule.growthCap(),
            "stabilizer", ClipRule.stabilize()));

    private static double[] doubles(JsonNode list) {
        double[] values = new double[list.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = list.get(i).isTextual()
                    ? Double.parseDouble(list.get(i).textValue())
                    : list.get(i).doubleValue();
        }
        return values;
    }

    private static void assertClose(double expected, double actual, String what) {
        if (expected == actual || (Double.isNaN(expected) && Double.isNaN(actual))) return;
        assertEquals(expected, actual, 1e-12 * Math.abs(expected), what);
    }

    /** A clipper of one element, or of several tensors of equal elements, whose norms are given. */
    private static final class Steps implements AutoCloseable {
        private final TestBackend backend;
        private final int[] lengths;
        private final List<ClipEvent> heard = new ArrayList<>();
        private final GradientClipper clipper;

        Steps(TestBackend backend, int... lengths) {
            this.backend = backend;
            this.lengths = lengths;
            GradientClipperBuilder builder = backend.builder().listener(heard::add);
            for (int i = 0; i < lengths.length; i++) builder.add("t" + i, gradient(i, 1));
            clipper = builder.build();
        }

        private GradientBuffer gradient(int tensor, double norm) {
            // FLOAT64, whose norm is the one given to the last digit.
            double[] values = new double[lengths[tensor]];
            Arrays.fill(values, norm / Math.sqrt(lengths[tensor]));
            return backend.place(HostBuffer.wrap(values));
        }

        ClipResult clip(ClipRule rule, double... norms) {
            List<GradientBuffer> now = new ArrayList<>();
            for (int i = 0; i < lengths.length; i++) now.add(gradient(i, norms[i]));
            clipper.rebind(now);
            return clipper.clip(rule);
        }

        @Override
        public void close() {
            clipper.close();
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void coefficientsAndThresholdsAreTheSources(TestBackend backend) {
        double[] norms = doubles(EXPECTED.get("norms"));
        GLOBAL.forEach((key, rule) -> {
            JsonNode expected = EXPECTED.get("rules").get(key);
            double[] coefficients = doubles(expected.get("coefficient"));
            double[] thresholds = expected.has("threshold") ? doubles(expected.get("threshold")) : new double[0];
            try (Steps steps = new Steps(backend, 1)) {
                for (int i = 0; i < norms.length; i++) {
                    ClipResult result = steps.clip(rule, norms[i]);
                    assertEquals(i == NOT_FINITE, result.nonFinite());
                    if (i == NOT_FINITE) continue;
                    assertClose(coefficients[i], result.coefficient(), key + ", coefficient of step " + i);
                    if (!List.of("zclip", "zclipWithoutMaximum", "stabilizer", "lagged")
                            .contains(key)) {
                        assertClose(thresholds[i], steps.heard.get(i).threshold(), key + ", threshold of step " + i);
                    }
                }
                assertEquals(499, steps.clipper.history(rule).steps());
            }
        });
    }

    @ParameterizedTest
    @MethodSource("backends")
    void eachTensorHasItsHistory(TestBackend backend) {
        JsonNode tensors = EXPECTED.get("tensors");
        double[][] norms = new double[3][];
        for (int t = 0; t < 3; t++) norms[t] = doubles(tensors.get("norms").get(t));
        OF_TENSORS.forEach((key, rule) -> {
            JsonNode expected = tensors.get("rules").get(key).get("coefficient");
            double[][] coefficients = new double[3][];
            for (int t = 0; t < 3; t++) coefficients[t] = doubles(expected.get(t));
            try (Steps steps = new Steps(backend, 1, 4, 16)) {
                for (int i = 0; i < 500; i++) {
                    ClipResult result = steps.clip(rule, norms[0][i], norms[1][i], norms[2][i]);
                    if (result.nonFinite()) continue;
                    for (int t = 0; t < 3; t++) {
                        assertClose(
                                coefficients[t][i],
                                result.tensorCoefficient(t),
                                key + ", coefficient of tensor " + t + " in step " + i);
                    }
                }
            }
        });
    }

    @ParameterizedTest
    @MethodSource("backends")
    void spikesAreSkippedAsTheSourcesSkipThem(TestBackend backend) {
        double[] norms = doubles(EXPECTED.get("norms"));
        Map<String, NormRule> rules = Map.of("skipAbove", ClipRule.skipAbove(10), "skipSpikes", ClipRule.skipSpikes());
        rules.forEach((key, rule) -> {
            JsonNode skipped = EXPECTED.get("rules").get(key).get("skipped");
            int count = 0;
            try (Steps steps = new Steps(backend, 1)) {
                for (int i = 0; i < norms.length; i++) {
                    ClipResult result = steps.clip(rule, norms[i]);
                    if (i == NOT_FINITE) {
                        assertFalse(result.skipped(), "the policy PROPAGATE skips nothing");
                        continue;
                    }
                    assertEquals(skipped.get(i).booleanValue(), result.skipped(), key + ", step " + i);
                    assertEquals(result.skipped(), steps.heard.get(i).skipped());
                    assertEquals(1, result.coefficient());
                    assertFalse(result.clipped());
                    if (result.skipped()) count++;
                }
            }
            assertTrue(count > 3, key + " skips " + count);
        });
    }

    @ParameterizedTest
    @MethodSource("backends")
    void bitsAreThoseOfPlainJava(TestBackend backend) {
        TestBackend java = TestBackend.all().findFirst().orElseThrow();
        double[] norms = doubles(EXPECTED.get("norms"));
        Map<String, NormRule> all = new TreeMap<>(GLOBAL);
        all.put("skipSpikes", ClipRule.skipSpikes().withMaxNorm(0.5));
        all.put("skipAbove", ClipRule.skipAbove(10).withInverseScale(0.25));
        all.forEach((key, rule) -> {
            try (Steps one = new Steps(java, 1);
                    Steps other = new Steps(backend, 1)) {
                for (double norm : norms) {
                    ClipResult expected = one.clip(rule, norm);
                    ClipResult actual = other.clip(rule, norm);
                    assertEquals(expected.coefficient(), actual.coefficient(), 0.0, key);
                    assertEquals(expected.skipped(), actual.skipped(), key);
                }
                assertArrayEquals(
                        one.clipper.history(rule).toBytes(),
                        other.clipper.history(rule).toBytes(),
                        key);
                assertEquals(
                        one.heard.stream().map(ClipEvent::threshold).toList(),
                        other.heard.stream().map(ClipEvent::threshold).toList());
            }
        });
    }
}
