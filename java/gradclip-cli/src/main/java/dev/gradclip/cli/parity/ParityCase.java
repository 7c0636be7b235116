// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.parity;

import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormRule;
import dev.gradclip.NormType;
import dev.gradclip.cli.rules.ChosenRule;
import dev.gradclip.cli.rules.RuleSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * A clip that every backend must do alike: a rule, and gradients that follow from a seed.
 *
 * @param entry whose rule it is
 * @param rule with policy, norm type and unscaling
 * @param kind what the gradients are like
 * @param types of the tensors, in turn
 * @param seed of the gradients
 */
record ParityCase(RuleSpec entry, ClipRule rule, Kind kind, List<DType> types, long seed) {
    /** The lengths of the tensors: 0, and some around every boundary of vectors, stripes and tiles. */
    private static final int[] LENGTHS = {0, 1, 13, 207, 2047, 2048, 2049, 4098, 8193, 30000};

    private static final int ROWS = 3;

    /** The kinds of gradients. */
    enum Kind {
        ORDINARY(0),
        TINY(-120),
        HUGE(90),
        ZERO(0),
        NON_FINITE(0);

        /** The power of 2 that ordinary gradients are multiplied by, where the type has such numbers. */
        final int exponent;

        Kind(int exponent) {
            this.exponent = exponent;
        }
    }

    /** A tensor's elements: float[], double[] or, of a 16-bit type, short[]. */
    record Tensor(String name, DType dtype, Object elements, int rows) {}

    /** Makes all cases of a rule; each differs from the usual one in one thing. */
    static List<ParityCase> of(RuleSpec entry, long seed, boolean quick) {
        ClipRule usual = entry.exampleRule().rule();
        List<DType> mixed = List.of(DType.values());
        List<ParityCase> cases = new ArrayList<>();
        for (DType dtype : DType.values()) cases.add(new ParityCase(entry, usual, Kind.ORDINARY, List.of(dtype), seed));
        for (Kind kind : Kind.values()) {
            for (NonFinitePolicy policy : NonFinitePolicy.values()) {
                if (kind != Kind.NON_FINITE && policy != NonFinitePolicy.PROPAGATE) continue;
                cases.add(new ParityCase(entry, usual.withNonFinitePolicy(policy), kind, mixed, seed));
            }
        }
        for (double inverseScale : new double[] {0x1p-10, 3e38}) {
            cases.add(new ParityCase(entry, usual.withInverseScale(inverseScale), Kind.ORDINARY, mixed, seed));
        }
        if (usual instanceof NormRule norm) {
            for (NormType type : List.of(NormType.L1, NormType.L2, NormType.INF, NormType.p(3))) {
                cases.add(new ParityCase(entry, norm.withNormType(type), Kind.ORDINARY, mixed, seed));
            }
        }
        int repeats = quick ? 1 : 5;
        List<ParityCase> all = new ArrayList<>();
        for (int i = 0; i < repeats; i++) for (ParityCase one : cases) all.add(one.with(seed + i));
        return all;
    }

    private ParityCase with(long another) {
        return new ParityCase(entry, rule, kind, types, another);
    }

    /** Tells if backends agree on the norm to 1e-12 only, for pow differs between math libraries. */
    boolean isPower() {
        return rule instanceof NormRule norm
                && !List.of(NormType.L1, NormType.L2, NormType.INF).contains(norm.normType());
    }

    String shown() {
        return new ChosenRule(entry, rule).shown() + ", non-finite " + rule.nonFinitePolicy() + ", " + kind + ", "
                + types + ", seed " + seed;
    }

    List<Tensor> gradients() {
        return tensors(new Random(seed), kind);
    }

    /** Makes ordinary weights of the gradients' lengths. */
    List<Tensor> weights() {
        return tensors(new Random(~seed), Kind.ORDINARY);
    }

    private List<Tensor> tensors(Random random, Kind kind) {
        List<Tensor> tensors = new ArrayList<>();
        for (int i = 0; i < LENGTHS.length; i++) {
            DType dtype = types.get(i % types.size());
            int length = LENGTHS[i] / ROWS * ROWS;
            if (!ChosenRule.goesByRows(rule) && !ChosenRule.needsParameters(rule)) length = LENGTHS[i];
            int rows = length % ROWS != 0 || length == 0 ? 1 : ROWS;
            tensors.add(new Tensor("tensor" + i, dtype, elements(random, kind, dtype, length), rows));
        }
        return tensors;
    }

    private static Object elements(Random random, Kind kind, DType dtype, int length) {
        double[] values = new double[length];
        for (int i = 0; i < length; i++) values[i] = value(random, kind, dtype, i);
        return switch (dtype) {
            case FLOAT64 -> values;
            case FLOAT32 -> {
                float[] floats = new float[length];
                for (int i = 0; i < length; i++) floats[i] = (float) values[i];
                yield floats;
            }
            case FLOAT16, BFLOAT16 -> {
                short[] halves = new short[length];
                for (int i = 0; i < length; i++) halves[i] = half(dtype, (float) values[i]);
                yield halves;
            }
        };
    }

    private static double value(Random random, Kind kind, DType dtype, int i) {
        double ordinary = random.nextGaussian();
        if (kind == Kind.ZERO) return i % 2 == 0 ? 0.0 : -0.0;
        if (kind == Kind.NON_FINITE && random.nextInt(500) == 0) {
            return switch (random.nextInt(3)) {
                case 0 -> Double.NaN;
                case 1 -> Double.POSITIVE_INFINITY;
                default -> Double.NEGATIVE_INFINITY;
            };
        }
        if (dtype == DType.FLOAT16) return Math.scalb(ordinary, Math.max(-12, Math.min(8, kind.exponent)));
        return Math.scalb(ordinary, dtype == DType.FLOAT64 ? 7 * kind.exponent : kind.exponent);
    }

    /** Cuts a float off to 16 bits; rounding does not matter, but the bits must be the same each time. */
    private static short half(DType dtype, float value) {
        int bits = Float.floatToIntBits(value);
        if (dtype == DType.BFLOAT16) return (short) (bits >>> 16);
        int sign = (bits >>> 16) & 0x8000;
        int exponent = ((bits >>> 23) & 0xff) - 112;
        if (exponent >= 31) return (short) (sign | 0x7c00 | (Float.isNaN(value) ? 0x200 : 0));
        if (exponent <= 0) return (short) (sign | ((bits >>> 20) & 7));
        return (short) (sign | (exponent << 10) | ((bits >>> 13) & 0x3ff));
    }
}
