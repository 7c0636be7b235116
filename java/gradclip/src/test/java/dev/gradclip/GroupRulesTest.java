// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Groups with one norm or one rule each, and tensors in no group. */
class GroupRulesTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    /** A model: 10 before the groups; "in": 3 and 4; "empty"; "out": 12, and 5 as two rows. */
    private static final class Model implements AutoCloseable {
        final List<HostBuffer> gradients = new ArrayList<>();
        final GradientClipper clipper;

        Model(TestBackend backend) {
            double[][] values = {{10}, {3}, {4}, {12}, {3, 4}};
            for (double[] each : values) gradients.add(Values.buffer(DType.FLOAT64, each));
            clipper = backend.builder()
                    .add("loose", backend.place(gradients.get(0)))
                    .group("in")
                    .add("a", backend.place(gradients.get(1)))
                    .add("b", backend.place(gradients.get(2)))
                    .group("empty")
                    .group("out")
                    .add("c", backend.place(gradients.get(3)))
                    .add("d", backend.place(gradients.get(4)))
                    .rows(2)
                    .build();
        }

        double[] read() {
            return gradients.stream()
                    .flatMapToDouble(x -> Arrays.stream(Values.read(x)))
                    .toArray();
        }

        @Override
        public void close() {
            clipper.close();
        }
    }

    private static Map<String, ClipRule> rules(String first, ClipRule one, String second, ClipRule two) {
        Map<String, ClipRule> rules = new LinkedHashMap<>();
        rules.put(first, one);
        rules.put(second, two);
        return rules;
    }

    @ParameterizedTest
    @MethodSource("backends")
    void eachGroupByItsNorm(TestBackend backend) {
        try (Model model = new Model(backend)) {
            ClipResult result = model.clipper.clip(
                    ClipRule.globalNorm(2.5).withScope(Scope.GROUP).withEpsilon(0));
            // 5 and 13: 0.5 and 2.5 / 13
            assertEquals(5, result.groupNorm("in"));
            assertEquals(0, result.groupNorm("empty"));
            assertEquals(13, result.groupNorm("out"));
            assertEquals(Math.sqrt(100 + 25 + 169), result.globalNorm(), 1e-14);
            assertEquals(1, result.tensorCoefficient(0));
            assertEquals(0.5, result.tensorCoefficient(1));
            assertEquals(2.5 / 13, result.tensorCoefficient(3));
            assertEquals(2.5 / 13, result.rowCoefficient(4, 1));
            assertTrue(Double.isNaN(result.coefficient()));
            double c = 2.5 / 13;
            assertArrayEquals(new double[] {10, 1.5, 2, 12 * c, 3 * c, 4 * c}, model.read());
        }
    }

    /** DL4J's per-layer renormalisation. */
    @ParameterizedTest
    @MethodSource("backends")
    void eachGroupNormalized(TestBackend backend) {
        try (Model model = new Model(backend)) {
            model.clipper.clip(ClipRule.normalize(1).withScope(Scope.GROUP));
            double c = 1.0 / 13;
            assertArrayEquals(new double[] {10, 3 * 0.2, 4 * 0.2, 12 * c, 3 * c, 4 * c}, model.read());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void averagesOfGroupsCountTheirElements(TestBackend backend) {
        try (Model model = new Model(backend)) {
            ClipResult result = model.clipper.clip(ClipRule.averageNorm(1.25).withScope(Scope.GROUP));
            assertEquals(0.5, result.tensorCoefficient(1)); // 5 / 2 elements
            assertEquals(1.25 / (13.0 / 3), result.tensorCoefficient(3));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aRuleForEachGroup(TestBackend backend) {
        try (Model model = new Model(backend)) {
            ClipRule rule = ClipRule.perGroup(
                    rules("out", ClipRule.perRowNorm(2).withEpsilon(0), "in", ClipRule.normalize(10)));
            ClipResult result = model.clipper.clip(rule);
            assertArrayEquals(new double[] {10, 6, 8, 2, 2, 2}, model.read(), 1e-15);
            assertEquals(1, result.tensorCoefficient(0));
            assertEquals(2, result.tensorCoefficient(1));
            assertEquals(2.0 / 12, result.tensorCoefficient(3));
            assertTrue(Double.isNaN(result.tensorCoefficient(4)));
            assertEquals(0.5, result.rowCoefficient(4, 1));
        }
    }

    /** Graves 2013: wider limits for the output layer. */
    @ParameterizedTest
    @MethodSource("backends")
    void limitsForEachGroup(TestBackend backend) {
        try (Model model = new Model(backend)) {
            ClipResult result = model.clipper.clip(
                    ClipRule.perGroup(rules("in", ClipRule.value(3.5), "out", ClipRule.value(-1, 3))));
            assertArrayEquals(new double[] {10, 3, 3.5, 3, 3, 3}, model.read());
            assertEquals(3, result.elementsChanged());
            assertTrue(result.clipped());
        }
    }

    /** Tensors that a rule does not cover are left as they are, whatever the rule before it did. */
    @ParameterizedTest
    @MethodSource("backends")
    void whatIsInNoGroupIsLeftAfterEveryOtherRule(TestBackend backend) {
        List<ClipRule> before = List.of(
                ClipRule.globalNorm(0.25),
                ClipRule.perRowNorm(0.25),
                ClipRule.value(0.25),
                ClipRule.perGroup(Map.of("out", ClipRule.globalNorm(0.25))));
        for (ClipRule earlier : before) {
            try (Model model = new Model(backend)) {
                model.clipper.clip(earlier);
                double[] then = model.read();
                ClipRule one = ClipRule.perGroup(Map.of("in", ClipRule.normalize(40)));
                ClipResult result = model.clipper.clip(one);
                for (int tensor : new int[] {0, 3, 4}) assertEquals(1, result.tensorCoefficient(tensor));
                double[] now = model.read();
                for (int i : new int[] {0, 3, 4, 5}) assertEquals(then[i], now[i], earlier::toString);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whatIsInNoGroupIsUnscaledAllTheSame(TestBackend backend) {
        List<ClipRule> rules = List.of(
                ClipRule.perGroup(Map.of("in", ClipRule.globalNorm(1.25).withEpsilon(0))),
                ClipRule.perGroup(Map.of("in", ClipRule.value(1))),
                ClipRule.perGroup(Map.of("empty", ClipRule.globalNorm(1))));
        double[][] expected = {{0.75, 1}, {1, 1}, {1.5, 2}};
        for (int i = 0; i < rules.size(); i++) {
            try (Model model = new Model(backend)) {
                ClipResult result = model.clipper.clip(rules.get(i).withInverseScale(0.5));
                double[] now = model.read();
                assertArrayEquals(new double[] {5, expected[i][0], expected[i][1], 6, 1.5, 2}, now);
                assertEquals(i < 2, result.clipped(), "unscaling does not count");
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void groupsThatCoverAllAreOneAfterTheOther(TestBackend backend) {
        HostBuffer a = Values.buffer(DType.FLOAT32, 3, 4);
        HostBuffer b = Values.buffer(DType.FLOAT16, 6, 8);
        try (GradientClipper clipper = backend.builder()
                .group("all")
                .add(backend.place(a))
                .add(backend.place(b))
                .build()) {
            ClipResult result = clipper.clip(ClipRule.normalize(1).withScope(Scope.GROUP));
            assertEquals(1 / Math.sqrt(125), result.tensorCoefficient(0), 1e-16);
            ClipResult one = clipper.clip(ClipRule.perGroup(Map.of("all", ClipRule.globalNorm(1e9))));
            assertFalse(one.clipped());
        }
    }
}
