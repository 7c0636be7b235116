// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.ClipRule;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormRule;
import dev.gradclip.NormType;
import dev.gradclip.Scope;
import dev.gradclip.ValueRule;
import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.SegmentLayout;
import dev.gradclip.internal.rule.NormLimit;
import dev.gradclip.internal.rule.ResolvedRule;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * One rule's numbers in the layout that native code reads: {@code gradclip::RuleNumbers} and its parts in
 * cuda/include/gradclip/cuda.hpp.
 */
public final class CudaRule {
    /** The sets of gradients that have one coefficient each; the ordinals cross JNI. */
    public enum Granularity {
        /** All gradients. */
        ALL,
        /** Each segment. */
        SEGMENT,
        /** Each part, or each segment of a part. */
        PARTS
    }

    private static final int HEAD_BYTES = 96;
    private static final int PART_BYTES = 80;
    private static final int GRANULARITY = 0;
    private static final int NORM = 4;
    private static final int POLICY = 8;
    private static final int PART_COUNT = 12;
    private static final int P = 16;
    private static final int LIMIT = 24;
    private static final int INVERSE_SCALE = 32;
    private static final int MIN = 64;
    private static final int MAX = 72;
    private static final int HISTORY = 80;
    private static final int ONE_PASS = 88;
    private static final int PART_PER_SEGMENT = 8;
    private static final int PART_SAMPLES = 12;
    private static final int PART_LIMIT = 16;
    private static final int PART_MIN = 56;
    private static final int PART_MAX = 64;
    private static final int PART_HISTORY = 72;
    private static final NormRule NONE = ClipRule.globalNorm(Double.POSITIVE_INFINITY);

    private final ByteBuffer memory;
    final long address;
    private int parts;
    private boolean clamps;

    /** Makes room for a rule with up to {@code mostParts} parts. */
    public CudaRule(int mostParts) {
        memory = ByteBuffer.allocateDirect(Math.addExact(HEAD_BYTES, Math.multiplyExact(mostParts, PART_BYTES)))
                .order(ByteOrder.nativeOrder());
        address = NativeCuda.address(memory);
    }

    boolean clamps() {
        return clamps;
    }

    /** Writes a rule's numbers for tensors with these segments. */
    public void write(ResolvedRule rule, SegmentLayout segments) {
        if (rule.normType == null) {
            ValueRule first = rule.parts[0].valueRule();
            value(first.min(), first.max(), rule.inverseScale, rule.policy());
            if (!rule.coversAll) writeParts(rule, segments);
            return;
        }
        NormRule limit = rule.parts[0].normRule();
        if (rule.isGlobal()) {
            norm(Granularity.ALL, limit);
            if (rule.hasHistory) memory.putLong(HISTORY, rule.histories().address());
            memory.putLong(ONE_PASS, rule.isLagged() ? 1 : 0);
            return;
        }
        Scope scope = rule.parts[0].scope();
        boolean perSegment = scope == Scope.ROW || (scope == Scope.TENSOR && segments.areTensors());
        if (rule.coversAll && perSegment && !rule.hasHistory) {
            norm(Granularity.SEGMENT, limit);
            return;
        }
        norm(Granularity.PARTS, unlimited(rule).withNormType(rule.normType).withNonFinitePolicy(rule.policy()));
        writeParts(rule, segments);
        if (rule.hasHistory) writeHistories(rule, segments);
    }

    /** Gives each part that has a history the address of its block. */
    private void writeHistories(ResolvedRule rule, SegmentLayout segments) {
        long address = rule.histories().address();
        rule.eachHistory((part, tensor, at) -> {
            int from = segments.from(tensor < 0 ? part.from() : tensor);
            for (int i = 0; i < parts; i++) {
                int to = HEAD_BYTES + i * PART_BYTES;
                if (memory.getInt(to) == from && memory.getInt(to + 4) > from) {
                    memory.putLong(to + PART_HISTORY, address + (long) at * Double.BYTES);
                }
            }
        });
    }

    private static NormRule unlimited(ResolvedRule rule) {
        return NONE.withInverseScale(rule.inverseScale);
    }

    /** Writes the parts in ascending order, and a part without a limit for each gap between them. */
    private void writeParts(ResolvedRule rule, SegmentLayout segments) {
        List<ResolvedRule.Part> ascending = new ArrayList<>(List.of(rule.parts));
        ascending.sort(Comparator.comparingInt(ResolvedRule.Part::from));
        int next = 0;
        for (ResolvedRule.Part part : ascending) {
            if (part.from() == part.to()) continue;
            writeRest(rule, segments.from(next), segments.from(part.from()));
            writePart(rule, segments, part);
            next = part.to();
        }
        writeRest(rule, segments.from(next), segments.gradients());
    }

    private void writePart(ResolvedRule rule, SegmentLayout segments, ResolvedRule.Part part) {
        int from = segments.from(part.from());
        int to = segments.from(part.to());
        if (rule.normType == null) {
            addPart(from, to, part.valueRule().min(), part.valueRule().max());
            return;
        }
        if (part.scope() == Scope.SAMPLE) {
            // Of one tensor, a sample is a segment.
            boolean isOne = part.to() - part.from() == 1;
            int at = addPart(from, to, isOne, part.normRule());
            memory.putInt(at + PART_SAMPLES, isOne ? 1 : segments.rows(part.from()));
            return;
        }
        boolean ofTensors = part.scope() == Scope.TENSOR;
        // What has a history is a part of its own.
        boolean eachIsTensor = to - from == part.to() - part.from() && part.history() == null;
        boolean perSegment = part.scope() == Scope.ROW || (ofTensors && eachIsTensor);
        if (!ofTensors || perSegment) {
            addPart(from, to, perSegment, part.normRule());
            return;
        }
        for (int i = part.from(); i < part.to(); i++) {
            addPart(segments.from(i), segments.from(i + 1), false, part.normRule());
        }
    }

    private void writeRest(ResolvedRule rule, int from, int to) {
        if (from == to) return;
        if (rule.normType == null) addPart(from, to, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
        else addPart(from, to, true, unlimited(rule));
    }

    /** Writes the numbers of a norm rule; the granularity takes the place of the rule's scope. */
    public CudaRule norm(Granularity granularity, NormRule rule) {
        clamps = false;
        memory.putInt(GRANULARITY, granularity.ordinal());
        memory.putInt(NORM, NormKind.of(rule.normType()).ordinal());
        memory.putDouble(P, rule.normType().p());
        putLimit(LIMIT, rule);
        return begun(rule.nonFinitePolicy());
    }

    /** Writes the numbers of a value rule. */
    public CudaRule value(double min, double max, double inverseScale, NonFinitePolicy policy) {
        clamps = true;
        memory.putDouble(MIN, min);
        memory.putDouble(MAX, max);
        putLimit(LIMIT, NONE);
        memory.putDouble(LIMIT + INVERSE_SCALE, inverseScale);
        return begun(policy);
    }

    /** Writes a rule that multiplies all gradients by a factor, which may be 0 or NaN. */
    public CudaRule factor(NormType measured, double factor) {
        norm(Granularity.ALL, NONE.withNormType(measured));
        memory.putDouble(LIMIT + INVERSE_SCALE, factor);
        return this;
    }

    /** Writes a rule that multiplies each segment by a factor of its own, which may be 0 or NaN. */
    public CudaRule factors(NormType measured, double[] ofSegments) {
        norm(Granularity.PARTS, NONE.withNormType(measured));
        int from = 0;
        for (int i = 1; i <= ofSegments.length; i++) {
            if (i < ofSegments.length && Double.compare(ofSegments[i], ofSegments[from]) == 0) continue;
            memory.putDouble(addPart(from, i, true, NONE) + PART_LIMIT + INVERSE_SCALE, ofSegments[from]);
            from = i;
        }
        return this;
    }

    private CudaRule begun(NonFinitePolicy policy) {
        memory.putInt(POLICY, policy.ordinal());
        parts = 0;
        memory.putInt(PART_COUNT, 0);
        memory.putLong(HISTORY, 0);
        memory.putLong(ONE_PASS, 0);
        return this;
    }

    /** Adds a part in which the segments {@code [from, to)} have one coefficient each, or one together; returns where. */
    private int addPart(int from, int to, boolean perSegment, NormRule limit) {
        return addPart(from, to, perSegment, limit, 0, 0);
    }

    /** Adds a part in which the segments {@code [from, to)} are clamped. */
    private void addPart(int from, int to, double min, double max) {
        addPart(from, to, true, NONE, min, max);
    }

    private int addPart(int from, int to, boolean perSegment, NormRule limit, double min, double max) {
        int at = HEAD_BYTES + parts * PART_BYTES;
        memory.putInt(at, from);
        memory.putInt(at + 4, to);
        memory.putInt(at + PART_PER_SEGMENT, perSegment ? 1 : 0);
        memory.putInt(at + PART_SAMPLES, 1);
        putLimit(at + PART_LIMIT, limit);
        memory.putDouble(at + PART_MIN, min);
        memory.putDouble(at + PART_MAX, max);
        memory.putLong(at + PART_HISTORY, 0);
        parts++;
        memory.putInt(PART_COUNT, parts);
        return at;
    }

    private void putLimit(int at, NormRule limit) {
        memory.putInt(at, limit.form().ordinal());
        memory.putInt(at + 4, NormLimit.atNonFinite(limit).ordinal());
        memory.putDouble(at + 8, limit.max());
        memory.putDouble(at + 16, limit.targetNorm());
        memory.putDouble(at + 24, limit.epsilon());
        memory.putDouble(at + INVERSE_SCALE, limit.inverseScale());
    }
}
