// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Gradients that are cut over ranks have the norm, the coefficients and the elements of one process, bit for bit. */
class RanksTest {
    private static final int[] RANKS = {1, 2, 3, 7};

    private static final List<NormType> EXACT = List.of(NormType.L1, NormType.L2, NormType.INF);

    static List<TestBackend> backends() {
        return TestBackend.all().toList();
    }

    /** The emulated device is a hundred times slower. */
    private static int rounds(TestBackend backend, int onHost) {
        return backend.onDevice() ? onHost / 4 : onHost;
    }

    private static Ranks.Whole tensor(Random random, DType dtype, @Nullable String group) {
        int rows = random.nextInt(3) == 0 ? 1 + random.nextInt(40) : 0;
        int length = rows > 0 ? rows * random.nextInt(400) : random.nextInt(9) == 0 ? 0 : random.nextInt(40_000);
        double scale = dtype == DType.FLOAT16 ? 1 : Math.scalb(1.0, random.nextInt(160) - 80);
        if (dtype == DType.FLOAT64) scale = Math.scalb(scale, random.nextInt(1600) - 800);
        double[] values = Values.normal(random.nextLong(), length, scale);
        return new Ranks.Whole(dtype, values, rows, group);
    }

    static List<Ranks.Whole> tensors(Random random, int kind) {
        List<Ranks.Whole> tensors = new ArrayList<>();
        int count = 1 + random.nextInt(6);
        for (int i = 0; i < count; i++) {
            DType dtype = DType.values()[kind < 4 ? kind : random.nextInt(4)];
            tensors.add(tensor(random, dtype, i == 0 ? "first" : i == 2 ? "second" : null));
        }
        return tensors;
    }

    static ClipRule rule(Random random, NormType type, double norm) {
        NormRule global = ClipRule.globalNorm(norm * random.nextDouble()).withNormType(type);
        return switch (random.nextInt(8)) {
            case 0 -> global.withInverseScale(0x1p-3);
            case 1 -> global.withScope(Scope.TENSOR);
            case 2 -> global.withScope(Scope.ROW);
            case 3 -> global.withScope(Scope.GROUP);
            case 4 -> ClipRule.perGroup(Map.of("first", global.withScope(Scope.ALL)));
            case 6 -> ClipRule.blockRms(random.nextDouble()).withNormType(type);
            case 5 -> ClipRule.normalize(1 + random.nextDouble()).withNormType(type);
            default -> global;
        };
    }

    @ParameterizedTest
    @MethodSource("backends")
    void anyCutHasTheBitsOfOneProcess(TestBackend backend) {
        for (int seed = 0; seed < rounds(backend, 100); seed++) {
            Random random = new Random(seed);
            NormType type = EXACT.get(seed % 3);
            try (Ranks ranks = new Ranks(backend, tensors(random, seed % 5), RANKS[seed % 4], random)) {
                double norm = ranks.whole.globalNorm(type);
                assertBits(norm, norm(ranks, type), "seed " + seed);
                ClipRule rule = rule(random, type, Math.min(norm, 1e300));
                requireSame(ranks, ranks.whole.clip(rule), ranks.clip(rule), "seed " + seed + " " + rule);
            }
        }
    }

    private static double norm(Ranks ranks, NormType type) {
        return GlobalNorms.combine(ranks.clippers.stream()
                        .map(c -> c.partialNorm(type).toBytes())
                        .toList())
                .globalNorm();
    }

    private static void requireSame(Ranks ranks, ClipResult one, List<ClipResult> all, String what) {
        for (int r = 0; r < all.size(); r++) {
            ClipResult got = all.get(r);
            assertBits(one.globalNorm(), got.globalNorm(), what);
            assertBits(one.coefficient(), got.coefficient(), what);
            assertBits(one.clippedNorm(), got.clippedNorm(), what);
            assertEquals(one.nonFinite(), got.nonFinite(), what);
            assertEquals(one.clipped(), got.clipped(), what);
            for (int i = 0; i < ranks.wholeBuffers.size(); i++) {
                assertBits(one.tensorNorm(i), got.tensorNorm(i), what + " t" + i);
                assertBits(one.tensorCoefficient(i), got.tensorCoefficient(i), what + " t" + i);
                int row = ranks.firstRow(r, i);
                if (row < 0) continue;
                assertBits(one.rowNorm(i, row), got.rowNorm(i, 0), what + " t" + i);
                assertBits(one.rowCoefficient(i, row), got.rowCoefficient(i, 0), what + " t" + i);
            }
            assertBits(one.groupNorm("first"), got.groupNorm("first"), what);
        }
        requireSameElements(ranks, what);
    }

    private static void requireSameElements(Ranks ranks, String what) {
        List<long[]> want = ranks.wholeBits();
        List<long[]> got = ranks.bits();
        for (int i = 0; i < want.size(); i++) assertArrayEquals(want.get(i), got.get(i), what + " t" + i);
    }

    private static void assertBits(double want, double got, String what) {
        assertEquals(Double.doubleToLongBits(want), Double.doubleToLongBits(got), what + ": " + want + ", " + got);
    }

    /** A tensor of more than a run, so that runs are sent as one sum, and tiles of runs that are shared. */
    @ParameterizedTest
    @MethodSource("backends")
    void runsThatAreSharedAndRunsThatAreNot(TestBackend backend) {
        for (int seed = 0; seed < rounds(backend, 12) / 2; seed++) {
            Random random = new Random(seed);
            double[] values = Values.normal(seed, 2_100_000 + 77 * seed, 3);
            DType dtype = seed % 2 == 0 ? DType.FLOAT64 : DType.FLOAT32;
            List<Ranks.Whole> one = List.of(new Ranks.Whole(dtype, values, 0, "first"));
            try (Ranks ranks = new Ranks(backend, one, 3, random)) {
                ClipRule rule = ClipRule.globalNorm(1).withNormType(EXACT.get(seed % 3));
                int bytes = ranks.partials(rule).stream()
                        .mapToInt(b -> b.length)
                        .max()
                        .orElseThrow();
                assertTrue(bytes <= 8 * (2046 + 3) + 400, bytes + " bytes");
                requireSame(ranks, ranks.whole.clip(rule), ranks.clip(rule), "seed " + seed);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void powersAgreeToTheTwelfthDigit(TestBackend backend) {
        for (int seed = 0; seed < rounds(backend, 20); seed++) {
            Random random = new Random(seed);
            NormType type = NormType.p(new double[] {0.5, 3, 7}[seed % 3]);
            try (Ranks ranks = new Ranks(backend, tensors(random, 1 + seed % 3), RANKS[seed % 4], random)) {
                double want = ranks.whole.globalNorm(type);
                assertEquals(want, norm(ranks, type), 1e-12 * want, "seed " + seed);
                ClipRule rule = ClipRule.perTensorNorm(want / 9).withNormType(type);
                ClipResult one = ranks.whole.clip(rule);
                ClipResult other = ranks.clip(rule).get(0);
                for (int i = 0; i < ranks.wholeBuffers.size(); i++) {
                    assertEquals(one.tensorCoefficient(i), other.tensorCoefficient(i), 1e-12, "seed " + seed);
                }
                double left = ranks.whole.globalNorm(type);
                assertEquals(left, norm(ranks, type), 1e-6 * left, "seed " + seed);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void policiesAreDecidedAlike(TestBackend backend) {
        double[] bad = {Double.NaN, Double.POSITIVE_INFINITY};
        for (int seed = 0; seed < 40; seed++) {
            Random random = new Random(seed);
            NonFinitePolicy policy = NonFinitePolicy.values()[seed % 4];
            List<Ranks.Whole> tensors = tensors(random, 4);
            double[] values = tensors.get(random.nextInt(tensors.size())).values();
            if (values.length > 0) values[random.nextInt(values.length)] = bad[seed / 4 % 2];
            Ranks ranks = new Ranks(backend, tensors, RANKS[seed / 4 % 4], random);
            requireSameByExchange(ranks, ofAll(seed), policy, "" + seed);
        }
    }

    /** A value rule, a norm of all, or one of each tensor, whose coefficients become 0 and NaN for some. */
    static ClipRule ofAll(int seed) {
        if (seed % 8 >= 4) return ClipRule.value(0.5);
        return seed % 3 == 0 ? ClipRule.perTensorNorm(1) : ClipRule.globalNorm(1);
    }

    private static void requireSameByExchange(Ranks ranks, ClipRule anyPolicy, NonFinitePolicy policy, String seed) {
        ClipRule rule = anyPolicy.withNonFinitePolicy(policy);
        String what = "seed " + seed + " " + rule;
        try (ranks) {
            Object want = Ranks.outcome(() -> ranks.whole.clip(rule));
            List<Object> all = ranks.byExchange((clipper, exchange) -> clipper.clip(rule, exchange));
            for (Object got : all) {
                if (want instanceof NonFiniteGradientException one) {
                    NonFiniteGradientException other = (NonFiniteGradientException) got;
                    assertEquals(one.tensor(), other.tensor(), what);
                    assertEquals(((Exception) all.get(0)).getMessage(), other.getMessage(), what);
                    assertTrue(("" + other.getMessage()).contains(" on rank " + other.rank()), what);
                } else {
                    ClipResult one = (ClipResult) want;
                    ClipResult other = (ClipResult) got;
                    assertBits(one.globalNorm(), other.globalNorm(), what);
                    assertBits(one.coefficient(), other.coefficient(), what);
                    assertBits(one.clippedNorm(), other.clippedNorm(), what);
                    assertEquals(one.nonFinite(), other.nonFinite(), what);
                }
            }
            requireSameElements(ranks, what);
        }
    }

    /** An absent gradient is absent on all ranks, and counts as empty as in one process. */
    @Test
    void anAbsentGradientKeepsItsPlace() {
        HostBuffer there = HostBuffer.wrap(new float[] {3, 4});
        try (GradientClipper left = GradientClipper.builder()
                        .declare("gone", DType.FLOAT32, 2048)
                        .shard(0, 4096)
                        .add("there", there)
                        .build();
                GradientClipper right = GradientClipper.builder()
                        .declare("gone", DType.FLOAT32, 2048)
                        .shard(2048, 4096)
                        .elsewhere("there", DType.FLOAT32, 2)
                        .build()) {
            ClipRule rule = ClipRule.averageNorm(1).withScope(Scope.ALL);
            List<byte[]> sent = List.of(
                    left.partialNorm(rule).toBytes(), right.partialNorm(rule).toBytes());
            ClipResult result = right.clip(rule, GlobalNorms.combine(sent));
            assertEquals(5, result.globalNorm());
            assertEquals(0.4, result.coefficient());
        }
    }

    @Test
    void replicasThatHaveDriftedApartAreNamed() {
        try (GradientClipper one = GradientClipper.builder()
                        .add("same", HostBuffer.wrap(new float[] {1, 2}))
                        .replica(0)
                        .add("drifted", HostBuffer.wrap(new float[] {3, 4}))
                        .replica(0)
                        .build();
                GradientClipper other = GradientClipper.builder()
                        .add("same", HostBuffer.wrap(new float[] {1, 2}))
                        .replica(0)
                        .add("drifted", HostBuffer.wrap(new float[] {3, 5}))
                        .replica(0)
                        .build()) {
            GlobalNorms norms = GlobalNorms.combine(List.of(
                    one.partialNorm(NormType.L2).toBytes(),
                    other.partialNorm(NormType.L2).toBytes()));
            assertEquals(List.of("drifted"), norms.differingReplicas());
            assertEquals(Math.sqrt(30), norms.globalNorm());
            assertFalse(norms.nonFinite());
        }
    }

    /** Map.of has another order in each JVM, so that ranks would refuse each other. */
    @Test
    void rulesOfGroupsAgreeInAnyOrder() {
        Map<String, ClipRule> rules = new LinkedHashMap<>();
        rules.put("b", ClipRule.globalNorm(1));
        rules.put("a", ClipRule.globalNorm(2));
        ClipRule one = ClipRule.perGroup(rules);
        ClipRule other = ClipRule.perGroup(new TreeMap<>(rules));
        try (GradientClipper left = GradientClipper.builder()
                        .group("a")
                        .add("w", HostBuffer.wrap(new float[] {3}))
                        .group("b")
                        .elsewhere("v", DType.FLOAT32, 1)
                        .build();
                GradientClipper right = GradientClipper.builder()
                        .group("a")
                        .elsewhere("w", DType.FLOAT32, 1)
                        .group("b")
                        .add("v", HostBuffer.wrap(new float[] {4}))
                        .build()) {
            GlobalNorms norms = GlobalNorms.combine(List.of(
                    left.partialNorm(one).toBytes(), right.partialNorm(other).toBytes()));
            assertEquals(3, left.clip(one, norms).groupNorm("a"));
            assertEquals(0.25, right.clip(other, norms).tensorCoefficient(1), 1e-6);
        }
    }

    /** The norms of another step would clip by a wrong coefficient, silently. */
    @Test
    void normsOfAnotherStepAreRefused() {
        float[] gradient = {3, 4};
        try (GradientClipper clipper = GradientClipper.of(gradient)) {
            ClipRule rule = ClipRule.globalNorm(1);
            GlobalNorms before =
                    GlobalNorms.combine(List.of(clipper.partialNorm(rule).toBytes()));
            assertThrows(IllegalArgumentException.class, () -> clipper.clip(ClipRule.globalNorm(2), before));
            clipper.partialNorm(rule);
            clipper.clip(rule, before);
            assertThrows(IllegalStateException.class, () -> clipper.clip(rule, before));
            clipper.partialNorm(rule);
            assertThrows(IllegalStateException.class, () -> clipper.clip(rule, before));
        }
    }

    /** A clipper of host memory and one of device memory clip by one norm, from one thread. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void hostAndDeviceInOneProcess(TestBackend device) {
        double[] values = Values.normal(5, 10_000, 2);
        HostBuffer whole = Values.buffer(DType.FLOAT64, values);
        HostBuffer left = Values.buffer(DType.FLOAT64, Arrays.copyOfRange(values, 0, 4096));
        HostBuffer right = Values.buffer(DType.FLOAT64, Arrays.copyOfRange(values, 4096, 10_000));
        ClipRule rule = ClipRule.globalNorm(1);
        try (GradientClipper one = GradientClipper.of(whole);
                GradientClipper onHost = GradientClipper.builder()
                        .add("w", left)
                        .shard(0, 10_000)
                        .build();
                GradientClipper onDevice = device.builder()
                        .add("w", device.place(right))
                        .shard(4096, 10_000)
                        .build()) {
            ClipResult want = one.clip(rule);
            GlobalNorms norms = GlobalNorms.combine(List.of(
                    onHost.partialNorm(rule).toBytes(),
                    onDevice.partialNorm(rule).toBytes()));
            assertBits(want.globalNorm(), onHost.clip(rule, norms).globalNorm(), "host");
            assertBits(want.globalNorm(), onDevice.clip(rule, norms).globalNorm(), "device");
            long[] bits = Arrays.copyOf(Values.bits(left), 10_000);
            System.arraycopy(Values.bits(right), 0, bits, 4096, 5904);
            assertArrayEquals(Values.bits(whole), bits);
        }
        try (GradientClipper alone = GradientClipper.of(device.place(Values.buffer(DType.FLOAT32, 3, 4)))) {
            assertThrows(IllegalStateException.class, () -> alone.partialNorm(ClipRule.perTensorNorm(1)));
        }
    }
}
