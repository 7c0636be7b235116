// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rows of many tiles and tensors in great number: the same bits on every backend. */
class DeepRowsTest {
    private record Outcome(String backend, List<Object> figures, List<long[]> bits) {}

    /** Elements around 1, whose products are normal in every type. */
    private static HostBuffer buffer(DType dtype, long seed, int length) {
        Random random = new Random(seed);
        double[] values = new double[length];
        for (int i = 0; i < length; i++) values[i] = random.nextInt(-64, 64) / 16.0;
        return Values.buffer(dtype, values);
    }

    private static void assertAgree(List<ClipRule> rules, BiConsumer<GradientClipperBuilder, Shapes> shapes) {
        List<Outcome> outcomes = new ArrayList<>();
        TestBackend.all().forEach(backend -> {
            if (backend.name().endsWith("v2")) return;
            Shapes made = new Shapes(backend);
            GradientClipperBuilder builder = backend.builder();
            shapes.accept(builder, made);
            List<Object> figures = new ArrayList<>();
            try (GradientClipper clipper = builder.build()) {
                for (ClipRule rule : rules) {
                    ClipResult result = clipper.clip(rule);
                    figures.addAll(List.of(result.globalNorm(), result.coefficient(), result.clipped()));
                    for (int i = 0; i < 2; i++)
                        figures.addAll(List.of(result.rowNorm(i, 0), result.rowCoefficient(i, 0)));
                }
            }
            outcomes.add(new Outcome(
                    backend.name(),
                    figures,
                    made.gradients.stream().map(Values::bits).toList()));
        });
        Outcome first = outcomes.get(0);
        for (Outcome outcome : outcomes) {
            assertEquals(first.figures(), outcome.figures(), outcome.backend());
            for (int i = 0; i < first.bits().size(); i++) {
                assertArrayEquals(first.bits().get(i), outcome.bits().get(i), outcome.backend());
            }
        }
    }

    private static final class Shapes {
        final List<HostBuffer> gradients = new ArrayList<>();
        private final TestBackend backend;

        Shapes(TestBackend backend) {
            this.backend = backend;
        }

        GradientBuffer gradient(DType dtype, int length) {
            HostBuffer made = buffer(dtype, gradients.size(), length);
            gradients.add(made);
            return backend.place(made);
        }

        GradientBuffer parameter(DType dtype, int length) {
            return backend.place(buffer(dtype, 99, length));
        }
    }

    /** One warp adds up 8 MiB, 1024 tiles; in a pair both rows, one or none have more. */
    @ParameterizedTest
    @CsvSource({"FLOAT32, FLOAT16", "FLOAT16, FLOAT32", "FLOAT32, FLOAT32"})
    void pairsOfWhichOneIsDeep(DType gradient, DType parameter) {
        int row = (1024 * 8192) / 4 + 777;
        List<ClipRule> rules = List.of(
                ClipRule.adaptive(0.25),
                ClipRule.adaptive(0.125).withNormType(NormType.L1).withInverseScale(0.5),
                ClipRule.perRowNorm(100),
                ClipRule.perTensorNorm(50));
        assertAgree(
                rules,
                (builder, shapes) -> builder.add(shapes.gradient(gradient, 2 * row))
                        .rows(2)
                        .weights(shapes.parameter(parameter, 2 * row))
                        .add(shapes.gradient(DType.FLOAT64, 1025))
                        .rows(1)
                        .weights(shapes.parameter(DType.FLOAT32, 1025)));
    }

    @Test
    void rowsInEveryNumberAndLength() {
        List<ClipRule> rules = List.of(
                ClipRule.adaptive(0.5),
                ClipRule.perRowNorm(3),
                ClipRule.blockRms(0.5).withScope(Scope.ROW),
                ClipRule.normalize(2).withScope(Scope.TENSOR),
                ClipRule.globalNorm(1));
        assertAgree(rules, (builder, shapes) -> {
            int[][] rowsAndLengths = {{1, 1}, {2, 4097}, {33, 129}, {1025, 5}, {1025, 4099}, {3, 40_001}};
            for (int[] each : rowsAndLengths) {
                for (DType dtype : DType.values()) {
                    DType other = DType.values()[(dtype.ordinal() + 1) % 4];
                    int length = each[0] * each[1];
                    builder.add(shapes.gradient(dtype, length)).rows(each[0]).weights(shapes.parameter(other, length));
                }
            }
        });
    }

    @Test
    void moreTensorsInAGroupThanOneRunHolds() {
        List<ClipRule> rules = List.of(
                ClipRule.globalNorm(3).withScope(Scope.GROUP),
                ClipRule.blockRms(0.25).withScope(Scope.GROUP).withNormType(NormType.L1),
                ClipRule.perTensorNorm(0.25),
                ClipRule.normalize(1).withScope(Scope.GROUP).withNormType(NormType.INF),
                ClipRule.perGroup(Map.of("many", ClipRule.normalize(2), "few", ClipRule.perRowNorm(0.1))),
                ClipRule.perGroup(Map.of("more", ClipRule.globalNorm(1))));
        assertAgree(rules, (builder, shapes) -> {
            for (int i = 0; i < 700; i++) builder.add(shapes.gradient(DType.FLOAT16, 3));
            builder.group("many");
            for (int i = 0; i < 2500; i++) builder.add(shapes.gradient(DType.values()[i % 4], 5));
            builder.group("few").add(shapes.gradient(DType.FLOAT32, 4000)).rows(2000);
            builder.group("more");
            for (int i = 0; i < 1025; i++) builder.add(shapes.gradient(DType.FLOAT32, 7));
        });
    }
}
