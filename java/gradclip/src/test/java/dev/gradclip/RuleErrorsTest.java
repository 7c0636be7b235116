// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Rules, and tensors bound for them, that are refused with advice. */
class RuleErrorsTest {
    private static final NormRule NORM = ClipRule.globalNorm(1);

    private static void assertRefused(Class<? extends Exception> type, Executable call, String... said) {
        String message = String.valueOf(assertThrows(type, call).getMessage());
        for (String word : said) assertTrue(message.contains(word), message);
    }

    private static void assertRefused(Executable call, String... said) {
        assertRefused(IllegalArgumentException.class, call, said);
    }

    private static ClipRule perGroup(ClipRule a, ClipRule b) {
        return ClipRule.perGroup(Map.of("a", a, "b", b));
    }

    @Test
    void numbers() {
        for (double bad : new double[] {-1, Double.NaN, Double.NEGATIVE_INFINITY}) {
            String text = String.valueOf(bad);
            assertRefused(() -> ClipRule.perRowNorm(bad), "maxNorm", text);
            assertRefused(() -> ClipRule.averageNorm(bad), "maxNorm", text);
            assertRefused(() -> ClipRule.blockRms(bad), "maxRms", text);
            assertRefused(() -> ClipRule.adaptive(bad), "lambda", text);
            assertRefused(() -> ClipRule.adaptive(1, bad), "epsilon", text);
            assertRefused(() -> ClipRule.normalize(bad), "targetNorm", text);
            assertRefused(() -> ClipRule.normalizeAbove(bad, 1), "maxNorm", text);
            assertRefused(() -> ClipRule.normalizeAbove(1, bad), "targetNorm", text);
        }
        assertRefused(() -> ClipRule.normalize(Double.POSITIVE_INFINITY), "targetNorm", "finite");
        assertRefused(() -> ClipRule.adaptive(1, Double.POSITIVE_INFINITY), "epsilon", "finite");
        assertEquals(0.0, ClipRule.normalize(-0.0).targetNorm());
        assertEquals(ClipRule.normalize(0), ClipRule.normalize(-0.0));
    }

    @Test
    void adaptiveGoesByUnits() {
        for (Scope scope : List.of(Scope.ALL, Scope.GROUP, Scope.TENSOR)) {
            assertRefused(() -> ClipRule.adaptive(1).withScope(scope), "units", "ROW", scope.toString());
        }
    }

    @Test
    void rulesForGroupsThatOnePassCannotServe() {
        assertRefused(() -> ClipRule.perGroup(Map.of()), "at least one");
        assertRefused(() -> perGroup(NORM, ClipRule.value(1)), "clipper of its own");
        assertRefused(() -> perGroup(NORM, NORM.withNormType(NormType.L1)), "norm type");
        assertRefused(() -> perGroup(NORM, NORM.withNonFinitePolicy(NonFinitePolicy.SKIP)), "policy");
        assertRefused(() -> perGroup(NORM, NORM.withInverseScale(0.5)), "unscales");
        assertRefused(() -> perGroup(NORM, perGroup(NORM, NORM)), "per group");
        assertRefused(() -> perGroup(NORM, NORM.withScope(Scope.GROUP)), "GROUP");
        Map<String, ClipRule> mine = new HashMap<>(Map.of("a", NORM));
        GroupRule rule = ClipRule.perGroup(mine);
        mine.put("b", ClipRule.value(1));
        assertEquals(1, rule.rules().size());
        assertThrows(UnsupportedOperationException.class, () -> rule.rules().clear());
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void rulesThatTheClipperHasNothingFor(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 3, 4);
        try (GradientClipper clipper = backend.builder()
                .add("tensor", backend.place(buffer))
                .group("known")
                .build()) {
            assertRefused(() -> clipper.clip(ClipRule.perGroup(Map.of("unknown", NORM))), "unknown", "known");
            assertRefused(() -> clipper.clip(ClipRule.adaptive(1)), "parameters", "weights(weights)");
            assertRefused(
                    () -> clipper.clip(ClipRule.perGroup(Map.of("known", ClipRule.adaptive(1)))), "weights(weights)");
            assertEquals(5, clipper.clipByGlobalNorm(1e9).globalNorm(), "still good");
        }
        try (GradientClipper clipper = backend.clipper(buffer)) {
            assertRefused(() -> clipper.clip(NORM.withScope(Scope.GROUP)), "GROUP", "group(name)");
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void manyCoefficientsWhereOneIsAsked(TestBackend backend) {
        HostBuffer buffer = Values.buffer(DType.FLOAT32, 3, 4);
        try (GradientClipper clipper = backend.builder()
                .group("all")
                .add(backend.place(buffer))
                .rows(2)
                .build()) {
            for (NormRule rule : List.of(
                    ClipRule.perTensorNorm(1),
                    ClipRule.perRowNorm(1),
                    ClipRule.averageNorm(1),
                    NORM.withScope(Scope.GROUP),
                    ClipRule.adaptive(1))) {
                assertRefused(() -> clipper.decide(rule), "decide", rule.name(), "clip");
                assertRefused(() -> clipper.decideAsync(rule, CudaStream.DEFAULT), rule.name());
                assertRefused(() -> clipper.clipWithNorm(rule, 5), "clipWithNorm", rule.name());
            }
            assertEquals(0.5, clipper.decide(ClipRule.normalize(2.5)).coefficient());
            assertEquals(
                    0.5,
                    clipper.clipWithNorm(ClipRule.normalizeAbove(4, 2.5), 5).coefficient());
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void whatCannotHaveRowsOrParameters(TestBackend backend) {
        GradientClipperBuilder builder = backend.builder();
        assertRefused(IllegalStateException.class, () -> builder.rows(1), "rows", "add");
        GradientBuffer four = backend.place(Values.buffer(DType.FLOAT32, 1, 2, 3, 4));
        assertRefused(IllegalStateException.class, () -> builder.weights(four), "weights", "add");
        builder.add("kernel", backend.place(Values.buffer(DType.FLOAT32, 1, 2, 3, 4)));
        for (int rows : new int[] {3, 5, 0, -4}) assertRefused(() -> builder.rows(rows), "kernel", "4", "" + rows);
        assertRefused(
                () -> builder.weights(backend.place(Values.buffer(DType.FLOAT32, 1, 2))),
                "parameter of kernel",
                "2",
                "4");
        // The refused calls left the builder as it was.
        try (GradientClipper clipper = builder.rows(4).weights(four).build()) {
            assertEquals(Math.sqrt(30), clipper.globalNorm(), 1e-14);
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void piecesHaveNoRows(TestBackend backend) {
        HostBuffer pieces = HostBuffer.ofPieces(HostBuffer.wrap(new float[2048]), HostBuffer.wrap(new float[2048]));
        assertRefused(() -> backend.builder().add("big", pieces).rows(2).build(), "big", "pieces");
        HostBuffer whole = HostBuffer.wrap(new float[4096]);
        assertRefused(
                () -> backend.builder()
                        .add("big", whole)
                        .rows(2)
                        .weights(pieces)
                        .build(),
                "parameter of big",
                "pieces");
        try (GradientClipper clipper =
                backend.builder().add("big", pieces).weights(whole).build()) {
            assertEquals(1, clipper.clip(ClipRule.adaptive(1)).tensorCoefficient(0));
        }
    }

    @Test
    void namesOnTheCommandLine() {
        List<String> names =
                EveryRule.norms().stream().map(ClipRule::name).distinct().toList();
        assertEquals(
                List.of(
                        "global-norm",
                        "normalize",
                        "normalize-above",
                        "average-norm",
                        "block-rms",
                        "per-group-norm",
                        "per-tensor-norm",
                        "per-row-norm",
                        "adaptive"),
                names);
        assertEquals("per-group", EveryRule.groupNorms().get(0).name());
    }
}
