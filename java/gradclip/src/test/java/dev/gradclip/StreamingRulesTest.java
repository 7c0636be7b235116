// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import dev.gradclip.internal.rule.NormLimit;
import dev.gradclip.internal.stream.StreamedApply;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every rule, with rows, groups, weights and unscaling: a stream has the bits of a clipper bound to the same. */
@Tag("thorough")
class StreamingRulesTest {
    private static final int SCALE = Integer.getInteger("thorough.scale", 1);

    /** A tensor of rows, cut where a stream allows: at a row's end, or within a row at whole tiles. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Tensor(DType dtype, int rows, double[] values) {
        static Tensor random(Random random, double scale) {
            DType dtype = DType.values()[random.nextInt(4)];
            int rows = random.nextInt(3) == 0 ? 1 : 1 + random.nextInt(40);
            int length = random.nextInt(4) == 0 ? random.nextInt(9000) : random.nextInt(60);
            return new Tensor(dtype, rows, Values.normal(random.nextLong(), rows * length, scale));
        }

        int rowLength() {
            return values.length / rows;
        }

        HostBuffer piece(int from, int to) {
            return Values.buffer(dtype, Arrays.copyOfRange(values, from, to));
        }

        HostBuffer whole() {
            return piece(0, values.length);
        }

        List<HostBuffer> pieces(Random random) {
            List<HostBuffer> pieces = new ArrayList<>();
            int tile = 8192 / dtype.bytes();
            for (int from = 0; from < values.length; ) {
                int rowsEnd = from / rowLength() * rowLength();
                for (int more = 1 + random.nextInt(5); more > 0; more--) rowsEnd += rowLength();
                int to = Math.min(values.length, rowsEnd);
                boolean within = random.nextBoolean() && from + tile < (from / rowLength() + 1) * rowLength();
                if (within) to = from + tile;
                pieces.add(piece(from, to));
                from = to;
            }
            return pieces;
        }
    }

    /** The tensors of a case, and their rule. */
    private static final class Case {
        final List<Tensor> tensors = new ArrayList<>();
        final List<@Nullable Tensor> parameters = new ArrayList<>();
        final Map<String, Integer> groups = new LinkedHashMap<>();
        final ClipRule rule;

        Case(Random random) {
            int count = random.nextInt(7);
            double scale = Math.scalb(1.0, random.nextInt(16) - 8);
            for (int i = 0; i < count; i++) {
                Tensor tensor = Tensor.random(random, scale);
                tensors.add(tensor);
                double[] weights = Values.normal(random.nextLong(), tensor.values.length, scale * random.nextDouble());
                DType dtype = DType.values()[random.nextInt(4)];
                boolean has = i == 0 || random.nextInt(3) > 0;
                parameters.add(has ? new Tensor(dtype, tensor.rows, weights) : null);
                if (random.nextInt(3) == 0 && tensor.values.length > 0 && random.nextBoolean()) {
                    tensor.values[random.nextInt(tensor.values.length)] =
                            random.nextBoolean() ? Double.NaN : Double.NEGATIVE_INFINITY;
                }
            }
            for (int at : new TreeSet<>(List.of(random.nextInt(count + 1), random.nextInt(count + 1), count))) {
                groups.put("group " + groups.size(), at);
            }
            NonFinitePolicy[] policies = {NonFinitePolicy.PROPAGATE, NonFinitePolicy.SKIP, NonFinitePolicy.ZERO};
            ClipRule chosen = rule(random, scale).withNonFinitePolicy(policies[random.nextInt(3)]);
            double[] factors = {1, 1, 0.25, 1.0 / 3, 3000, 1e-30};
            rule = chosen.withInverseScale(factors[random.nextInt(factors.length)]);
        }

        private ClipRule rule(Random random, double scale) {
            boolean clamps = random.nextInt(6) == 0;
            if (random.nextInt(3) > 0) return clamps ? value(random, scale) : norm(random, scale, type(random), true);
            Map<String, ClipRule> rules = new LinkedHashMap<>();
            NormType type = type(random);
            List<String> names = new ArrayList<>(groups.keySet());
            for (String name : names.subList(0, 1 + random.nextInt(names.size()))) {
                rules.put(name, clamps ? value(random, scale) : norm(random, scale, type, false));
            }
            return ClipRule.perGroup(rules);
        }

        private static NormType type(Random random) {
            return List.of(NormType.L2, NormType.L2, NormType.L1, NormType.INF).get(random.nextInt(4));
        }

        private static ClipRule value(Random random, double scale) {
            return random.nextInt(4) == 0
                    ? ClipRule.value(scale / 2, scale)
                    : ClipRule.value(-scale * random.nextDouble(), scale * random.nextDouble());
        }

        private NormRule norm(Random random, double scale, NormType type, boolean grouped) {
            double max = scale * random.nextDouble() * 4;
            if (parameters.isEmpty() || random.nextInt(5) > 0) {
                NormRule rule = switch (random.nextInt(6)) {
                    case 0 -> ClipRule.averageNorm(max / 30);
                    case 1 -> ClipRule.blockRms(max / 4);
                    case 2 -> ClipRule.normalize(max);
                    case 3 -> ClipRule.normalizeAbove(max, 2 * max);
                    default -> ClipRule.globalNorm(max);
                };
                Scope scope = Scope.values()[random.nextInt(4)];
                return rule.withScope(!grouped && scope == Scope.GROUP ? Scope.ROW : scope)
                        .withNormType(type)
                        .withConvention(Convention.values()[random.nextInt(5)]);
            }
            return ClipRule.adaptive(random.nextDouble()).withNormType(type);
        }

        GradientClipperBuilder builder(HostBuffer[] bound) {
            GradientClipperBuilder builder = GradientClipper.builder();
            for (int i = 0; i <= tensors.size(); i++) {
                for (String name : starting(i)) builder.group(name);
                if (i == tensors.size()) break;
                builder.add("tensor " + i, bound[i]).rows(tensors.get(i).rows);
                Tensor parameter = parameters.get(i);
                if (parameter != null) builder.weights(parameter.whole());
            }
            return builder;
        }

        void measure(StreamingClip clip, Random random) {
            for (int i = 0; i <= tensors.size(); i++) {
                for (String name : starting(i)) clip.group(name);
                if (i == tensors.size()) break;
                Tensor tensor = tensors.get(i);
                if (clip.needsMeasure()) {
                    if (tensor.rows > 1 || random.nextBoolean()) clip.rows(tensor.rows, tensor.rowLength());
                    Tensor parameter = parameters.get(i);
                    if (parameter != null) {
                        for (HostBuffer piece : parameter.pieces(random)) clip.measureWeights(piece);
                    }
                    for (HostBuffer piece : tensor.pieces(random)) clip.measure(piece);
                }
                clip.endTensor("tensor " + i);
            }
        }

        private List<String> starting(int at) {
            return groups.keySet().stream()
                    .filter(g -> Integer.valueOf(at).equals(groups.get(g)))
                    .toList();
        }
    }

    private static Backend bindable(Backend backend) {
        if (backend == Backend.CUDA)
            assumeTrue(EmulatedCuda.hasDevice(), "there is no device, and the emulated one is not built");
        assumeTrue(backend.isAvailable(), backend::reason);
        return backend == Backend.CUDA ? Backend.preferred() : backend;
    }

    @ParameterizedTest
    @EnumSource(Backend.class)
    void randomRulesRowsGroupsAndParameters(Backend backend) {
        Backend bindable = bindable(backend);
        int rounds = SCALE * (backend == Backend.CUDA ? 40 : 150);
        for (int seed = 0; seed < rounds; seed++) {
            Random random = new Random(seed);
            Case c = new Case(random);
            String what = "seed " + seed + " " + c.rule + " groups " + c.groups;
            HostBuffer[] bound = c.tensors.stream().map(Tensor::whole).toArray(HostBuffer[]::new);
            try (GradientClipper clipper = c.builder(bound).backend(bindable).build();
                    StreamingClip clip = StreamingClip.of(c.rule, backend, 1 + random.nextInt(3))) {
                ClipResult want = clipper.clip(c.rule);
                c.measure(clip, random);
                ClipResult decided = clip.decide();
                if (!Double.isNaN(want.globalNorm()) || clip.needsMeasure())
                    requireFigures(c, want, decided, clip, what);
                for (int t = 0; t < c.tensors.size(); t++) apply(c.tensors.get(t), t, clip, bound[t], random, what);
                assertEquals(want.toString(), clip.result().toString(), what);
            }
        }
    }

    private static void requireFigures(Case c, ClipResult want, ClipResult decided, StreamingClip clip, String what) {
        assertEquals(want.globalNorm(), decided.globalNorm(), what);
        assertEquals(want.coefficient(), decided.coefficient(), what);
        assertEquals(want.clippedNorm(), decided.clippedNorm(), what);
        boolean clamps = StreamedApply.first(c.rule) instanceof ValueRule;
        for (int t = 0; t < c.tensors.size() && !clamps; t++) {
            Tensor tensor = c.tensors.get(t);
            assertEquals(want.tensorNorm(t), clip.tensorNorm(t), what);
            assertEquals(want.tensorCoefficient(t), clip.tensorCoefficient(t), what);
            int clipped = 0;
            for (int row = 0; row < tensor.rows; row++) {
                assertEquals(want.rowNorm(t, row), clip.rowNorm(t, row), what);
                assertEquals(want.rowCoefficient(t, row), clip.rowCoefficient(t, row), what);
                boolean changes = NormLimit.changes(want.rowCoefficient(t, row), tensor.dtype);
                if (changes && tensor.values.length > 0) clipped++;
            }
            if (c.rule.inverseScale() == 1) assertEquals(clipped, clip.clippedRows(t), what);
        }
        for (String group : c.groups.keySet()) {
            if (!clamps) assertEquals(want.groupNorm(group), clip.groupNorm(group), what);
        }
    }

    /** Applies any pieces, and where all rows have one coefficient also without the piece's place. */
    private static void apply(Tensor tensor, int t, StreamingClip clip, HostBuffer bound, Random random, String what) {
        long[] expected = Values.bits(bound);
        int length = tensor.values.length;
        if (length == 0) clip.apply(t, 0, tensor.whole());
        for (int from = 0; from < length; ) {
            int to = random.nextInt(3) == 0 ? length : Math.min(length, from + 1 + random.nextInt(3000));
            HostBuffer piece = tensor.piece(from, to);
            try {
                clip.apply(t, piece);
            } catch (IllegalStateException e) {
                assertTrue(String.valueOf(e.getMessage()).contains("a coefficient for each of its rows"), what);
                clip.apply(t, from, piece);
            }
            assertArrayEquals(Arrays.copyOfRange(expected, from, to), Values.bits(piece), what + " tensor " + t);
            from = to;
        }
    }

    @Test
    void rowsInPiecesOfTheirOwn() {
        try (StreamingClip clip = StreamingClip.of(ClipRule.perRowNorm(1).withEpsilon(0), Backend.JAVA, 1)) {
            clip.rows(2, 2);
            clip.measure(HostBuffer.wrap(new float[] {3, 4}));
            clip.measure(HostBuffer.wrap(new float[] {0.3f, 0}));
            clip.endTensor("a");
            clip.measure(HostBuffer.wrap(new float[] {2}));
            assertEquals(2, clip.endTensor("one row unless told"));
            assertTrue(clip.decide().clipped());
            assertEquals(5, clip.rowNorm(0, 0));
            assertEquals(0.2, clip.rowCoefficient(0, 0));
            assertEquals(1, clip.rowCoefficient(0, 1));
            assertEquals(1, clip.clippedRows(0));
            assertEquals(1, clip.clippedRows(1));
            assertEquals(Double.NaN, clip.tensorCoefficient(0));
            assertEquals(0.5, clip.tensorCoefficient(1));
            float[] across = {4, 0.3f};
            clip.apply(0, 1, HostBuffer.wrap(across));
            assertArrayEquals(new float[] {4 * 0.2f, 0.3f}, across);
            assertThrows(IndexOutOfBoundsException.class, () -> clip.apply(0, 3, HostBuffer.wrap(across)));
            assertThrows(IndexOutOfBoundsException.class, () -> clip.apply(0, -1, HostBuffer.wrap(across)));
            assertThrows(IndexOutOfBoundsException.class, () -> clip.rowNorm(0, 2));
            assertThrows(IndexOutOfBoundsException.class, () -> clip.rowCoefficient(1, 1));
            assertThrows(IllegalStateException.class, () -> clip.apply(0, HostBuffer.wrap(across)));
        }
    }

    @Test
    void whatDoesNotFitIsRefusedByName() {
        HostBuffer two = HostBuffer.wrap(new float[2]);
        try (StreamingClip clip = StreamingClip.of(ClipRule.adaptive(0.01), Backend.JAVA, 1)) {
            clip.rows(2, 2);
            clip.measure(two);
            assertMessage("a has 2 elements, which are not its 2 rows of 2", () -> clip.endTensor("a"));
            clip.measure(two);
            assertMessage("more elements than its 2 rows of 2", () -> clip.measure(two));
            assertThrows(IllegalStateException.class, () -> clip.rows(1, 4), "after the first piece");
            assertThrows(IllegalStateException.class, () -> clip.group("late"));
            clip.measureWeights(two);
            assertMessage("the parameter of a has 2 elements, but its gradient has 4", () -> clip.endTensor("a"));
            clip.measureWeights(two);
            clip.endTensor("a");
            clip.group("g");
            assertMessage("two groups named 'g'", () -> clip.group("g"));
            assertMessage("0 rows or more", () -> clip.rows(-1, 4));
            clip.measureWeights(two);
            assertThrows(IllegalStateException.class, clip::decide, "a parameter without the end of its tensor");
            assertMessage("the parameter of b has 2 elements, but its gradient has 0", () -> clip.endTensor("b"));
            assertMessage("there is no group 'h'; the groups are [g]", () -> clip.groupNorm("h"));
        }
        try (StreamingClip clip = StreamingClip.of(ClipRule.adaptive(0.01), Backend.JAVA, 1)) {
            clip.measure(two);
            clip.endTensor("a");
            assertMessage("adaptive clipping compares gradients with their parameters", clip::decide);
        }
        Map<String, ClipRule> rules = Map.of("hidden", ClipRule.value(1));
        try (StreamingClip clip = StreamingClip.of(ClipRule.perGroup(rules), Backend.JAVA, 1)) {
            assertFalse(clip.needsMeasure());
            clip.endTensor("a");
            assertMessage("there is no group 'hidden'", clip::decide);
        }
    }

    private static void assertMessage(String part, Runnable call) {
        String message = String.valueOf(
                assertThrows(IllegalArgumentException.class, call::run).getMessage());
        assertTrue(message.contains(part), message);
    }

    /** A finite norm beyond any double, before or after unscaling, is no reason for ERROR or SKIP. */
    @ParameterizedTest
    @EnumSource(Backend.class)
    void unscalingBeyondDoubles(Backend backend) {
        bindable(backend);
        for (double scale : new double[] {1e-300, 1e-200, 1, 1e100, 1e200, 1e300}) {
            for (double element : new double[] {1e-300, 1, 1e150, 1e308}) {
                for (double maxNorm : new double[] {1e-3, 1e200, Double.POSITIVE_INFINITY}) {
                    double[] whole = {element, -element, 0.5 * element};
                    double[] streamed = whole.clone();
                    ClipRule rule = ClipRule.globalNorm(maxNorm)
                            .withEpsilon(0)
                            .withNonFinitePolicy(NonFinitePolicy.ERROR)
                            .withInverseScale(scale);
                    try (GradientClipper clipper = GradientClipper.of(HostBuffer.wrap(whole));
                            StreamingClip clip = StreamingClip.of(rule, backend, 1)) {
                        ClipResult want = clipper.clip(rule);
                        clip.measure(HostBuffer.wrap(streamed));
                        assertEquals(want.tensorNorm(0), clip.endTensor("a"));
                        assertEquals(want.toString(), clip.decide().toString());
                        clip.apply(0, HostBuffer.wrap(streamed));
                        assertArrayEquals(whole, streamed, rule + " of " + element);
                    }
                }
            }
        }
    }

    @Test
    void errorDoesNotNameATensorWhoseNormIsMerelyHuge() {
        ClipRule rule = ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ERROR);
        try (StreamingClip clip = StreamingClip.of(rule, Backend.JAVA, 1)) {
            clip.measure(HostBuffer.wrap(Values.constant(9, 1e308)));
            assertEquals(Double.POSITIVE_INFINITY, clip.endTensor("huge"));
            clip.measure(HostBuffer.wrap(new double[] {Double.NEGATIVE_INFINITY}));
            clip.endTensor("bad");
            assertEquals(
                    "bad",
                    assertThrows(NonFiniteGradientException.class, clip::decide).tensor());
        }
    }

    @ParameterizedTest
    @EnumSource(Backend.class)
    void onlyRowsThatChangeAreWritten(Backend backend) {
        bindable(backend);
        ByteBuffer bytes = ByteBuffer.allocateDirect(16).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putFloat(0, 3).putFloat(4, 4).putFloat(8, 0.1f);
        ByteBuffer readOnly = bytes.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
        HostBuffer piece = HostBuffer.wrap(readOnly, DType.FLOAT32);
        try (StreamingClip clip = StreamingClip.of(ClipRule.perRowNorm(1), backend, 1)) {
            clip.rows(2, 2);
            clip.measure(piece);
            clip.endTensor("a");
            clip.decide();
            assertThrows(IllegalStateException.class, () -> clip.apply(0, 0, piece));
            clip.apply(
                    0, 2, HostBuffer.wrap(readOnly.position(8).slice().order(ByteOrder.LITTLE_ENDIAN), DType.FLOAT32));
        }
        assertEquals(3, bytes.getFloat(0));
    }

    @ParameterizedTest
    @EnumSource(Backend.class)
    void whatIsZeroedCountsOnceInAStreamToo(Backend backend) {
        bindable(backend);
        for (double[] limits : ClampTest.LIMITS_AROUND_ZERO) {
            ClipRule rule = ClipRule.value(limits[0], limits[1]).withNonFinitePolicy(NonFinitePolicy.ZERO);
            float[] values = {Float.NaN, 2, Float.NEGATIVE_INFINITY};
            try (StreamingClip clip = StreamingClip.of(rule, backend, 1)) {
                clip.measure(HostBuffer.wrap(values.clone()));
                clip.endTensor("a");
                clip.decide();
                assertEquals(3, clip.apply(0, HostBuffer.wrap(values)), rule::toString);
                assertEquals(3, clip.result().elementsChanged(), rule::toString);
            }
        }
    }

    /** A threshold of 0 makes all elements 0, but does not clip a tensor without elements. */
    @Test
    void emptyTensorsAreNotClipped() {
        for (Scope scope : List.of(Scope.ALL, Scope.TENSOR, Scope.ROW)) {
            NormRule rule = ClipRule.globalNorm(0).withScope(scope);
            HostBuffer empty = HostBuffer.wrap(new float[0]);
            GradientClipperBuilder builder = GradientClipper.builder().add("a", empty);
            try (GradientClipper clipper = builder.rows(3).build();
                    StreamingClip clip = StreamingClip.of(rule, Backend.JAVA, 1)) {
                clip.rows(3, 0);
                assertMessage("more elements than its 3 rows of 0", () -> clip.measure(HostBuffer.wrap(new float[1])));
                clip.measure(empty);
                clip.endTensor("a");
                assertEquals(clipper.clip(rule).toString(), clip.decide().toString());
                assertEquals(0, clip.clippedRows(0), rule::toString);
            }
        }
    }

    @Test
    void aClampHasNoCoefficient() {
        try (StreamingClip clip = StreamingClip.of(ClipRule.value(1), Backend.JAVA, 1)) {
            clip.endTensor("a");
            clip.decide();
            assertThrows(IllegalStateException.class, () -> clip.tensorCoefficient(0));
            assertThrows(IllegalStateException.class, () -> clip.rowCoefficient(0, 0));
        }
    }
}
