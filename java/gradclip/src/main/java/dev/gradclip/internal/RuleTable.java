// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import dev.gradclip.ClipRule;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormRule;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** One rule as a device is told of it: {@code gradclip::RuleNumbers} and its parts in cuda/include/gradclip/cuda.hpp. */
public final class RuleTable {
    /** What has a coefficient of its own; the ordinals cross JNI. */
    public enum Scope {
        /** All gradients. */
        ALL,
        /** Each segment. */
        SEGMENT,
        /** Each part, or each segment of a part. */
        PARTS
    }

    private static final int HEAD_BYTES = 80;
    private static final int PART_BYTES = 72;
    private static final int SCOPE = 0;
    private static final int NORM = 4;
    private static final int POLICY = 8;
    private static final int PART_COUNT = 12;
    private static final int P = 16;
    private static final int LIMIT = 24;
    private static final int INVERSE_SCALE = 32;
    private static final int MIN = 64;
    private static final int MAX = 72;
    private static final int PART_PER_SEGMENT = 8;
    private static final int PART_LIMIT = 16;
    private static final int PART_MIN = 56;
    private static final int PART_MAX = 64;
    private static final NormRule NONE = ClipRule.globalNorm(Double.POSITIVE_INFINITY);

    private final ByteBuffer memory;
    final long address;
    private int parts;
    private boolean clamps;

    /** With room for so many parts. */
    public RuleTable(int mostParts) {
        memory = ByteBuffer.allocateDirect(Math.addExact(HEAD_BYTES, Math.multiplyExact(mostParts, PART_BYTES)))
                .order(ByteOrder.nativeOrder());
        address = NativeCuda.address(memory);
    }

    boolean clamps() {
        return clamps;
    }

    /** A rule that goes by norms; the scope is the device's, not its own. */
    public RuleTable norm(Scope scope, NormRule rule) {
        clamps = false;
        memory.putInt(SCOPE, scope.ordinal());
        memory.putInt(NORM, NormKind.of(rule.normType()).ordinal());
        memory.putDouble(P, rule.normType().p());
        putLimit(LIMIT, rule);
        return begun(rule.nonFinitePolicy());
    }

    /** A rule that clamps. */
    public RuleTable value(double min, double max, double inverseScale, NonFinitePolicy policy) {
        clamps = true;
        memory.putDouble(MIN, min);
        memory.putDouble(MAX, max);
        putLimit(LIMIT, NONE);
        memory.putDouble(LIMIT + INVERSE_SCALE, inverseScale);
        return begun(policy);
    }

    private RuleTable begun(NonFinitePolicy policy) {
        memory.putInt(POLICY, policy.ordinal());
        parts = 0;
        memory.putInt(PART_COUNT, 0);
        return this;
    }

    /** The next part: the segments {@code [from, to)} have a coefficient each, or one together. */
    public void addPart(int from, int to, boolean perSegment, NormRule limit) {
        addPart(from, to, perSegment, limit, 0, 0);
    }

    /** The next part: the segments {@code [from, to)} are clamped. */
    public void addPart(int from, int to, double min, double max) {
        addPart(from, to, true, NONE, min, max);
    }

    private void addPart(int from, int to, boolean perSegment, NormRule limit, double min, double max) {
        int at = HEAD_BYTES + parts * PART_BYTES;
        memory.putInt(at, from);
        memory.putInt(at + 4, to);
        memory.putInt(at + PART_PER_SEGMENT, perSegment ? 1 : 0);
        memory.putInt(at + PART_PER_SEGMENT + 4, 0);
        putLimit(at + PART_LIMIT, limit);
        memory.putDouble(at + PART_MIN, min);
        memory.putDouble(at + PART_MAX, max);
        parts++;
        memory.putInt(PART_COUNT, parts);
    }

    private void putLimit(int at, NormRule limit) {
        memory.putInt(at, limit.form().ordinal());
        memory.putInt(at + 4, NormLimit.atNonFinite(limit).ordinal());
        memory.putDouble(at + 8, limit.max());
        memory.putDouble(at + 16, limit.length());
        memory.putDouble(at + 24, limit.epsilon());
        memory.putDouble(at + INVERSE_SCALE, limit.inverseScale());
    }
}
