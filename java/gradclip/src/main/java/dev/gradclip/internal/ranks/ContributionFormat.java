// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.ranks;

import dev.gradclip.DType;
import dev.gradclip.NormType;
import dev.gradclip.RankMismatchException;
import dev.gradclip.internal.reduce.SegmentSums;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Contributions as bytes, big-endian; docs/distributed.md has their length as a formula. */
public final class ContributionFormat {
    private static final int SUMS = 0x47435331;
    private static final int FAILURE = 0x47434631;
    private static final int LOW = 1;
    private static final int HIGH = 2;
    private static final int MAXIMUM = 4;

    private ContributionFormat() {}

    /** Returns the bytes that tell the other ranks why this one has nothing to add. */
    public static byte[] failure(Throwable cause) {
        byte[] text = utf8(cause.toString());
        return ByteBuffer.allocate(8 + text.length)
                .putInt(FAILURE)
                .putInt(text.length)
                .put(text)
                .array();
    }

    public static byte[] write(Contribution of) {
        List<Shard> shards = of.layout().shards();
        byte[] rule = utf8(of.rule());
        List<byte[]> names = new ArrayList<>();
        long bytes = 33L + rule.length;
        for (Shard shard : shards) bytes += 4 + added(names, shard.name()) + 1 + 4 * 8 + 4 + 1;
        for (String group : of.layout().groupStarts().keySet()) bytes += 4 + added(names, group) + 4;
        SegmentSums sums = of.sums();
        int planes =
                (hasAny(sums.low) ? LOW : 0) | (hasAny(sums.high) ? HIGH : 0) | (hasAny(sums.maximum) ? MAXIMUM : 0);
        bytes += 8L * sums.middle.length * (1 + Integer.bitCount(planes));
        ByteBuffer to = ByteBuffer.allocate(Math.toIntExact(bytes));
        NormType type = of.type();
        to.putInt(SUMS).putInt(rule.length).put(rule).putDouble(of.inverseScale());
        to.putDouble(type == null ? Double.NaN : type.p());
        to.putInt(shards.size()).putInt(of.layout().groupStarts().size());
        int name = 0;
        for (Shard shard : shards) {
            put(to, names.get(name++));
            to.put((byte) shard.dtype().ordinal()).putLong(shard.total()).putLong(shard.first());
            to.putLong(shard.length()).putInt(shard.owner()).putLong(shard.segmentLength());
            to.put((byte) (shard.isPresent() ? 1 : 0));
        }
        for (int start : of.layout().groupStarts().values()) {
            put(to, names.get(name++));
            to.putInt(start);
        }
        to.put((byte) planes);
        put(to, sums.middle);
        if ((planes & LOW) != 0) put(to, sums.low);
        if ((planes & HIGH) != 0) put(to, sums.high);
        if ((planes & MAXIMUM) != 0) put(to, sums.maximum);
        return to.array();
    }

    /**
     * Reads what a rank has sent.
     *
     * @throws RankMismatchException if the rank sent a failure, or something else than these bytes
     */
    public static Contribution read(byte[] bytes, int rank) {
        ByteBuffer from = ByteBuffer.wrap(bytes);
        @Nullable String failure;
        try {
            int kind = from.getInt();
            failure = kind == FAILURE ? text(from) : null;
            if (kind == SUMS) {
                Contribution read = read(from);
                if (!from.hasRemaining()) return read;
            }
        } catch (BufferUnderflowException
                | IndexOutOfBoundsException
                | ArithmeticException
                | IllegalArgumentException e) {
            throw foreign(rank, bytes.length, e);
        }
        if (failure == null) throw foreign(rank, bytes.length, null);
        throw new RankMismatchException(null, "rank " + rank + " could not measure: " + failure, rank);
    }

    private static RankMismatchException foreign(int rank, int length, @Nullable Throwable e) {
        RankMismatchException foreign = new RankMismatchException(
                null,
                "rank " + rank + " sent " + length + " bytes that are no partial norm of this version of gradclip;"
                        + " run one version on all ranks, and gather nothing else at the same time",
                rank);
        if (e != null) foreign.initCause(e);
        return foreign;
    }

    private static Contribution read(ByteBuffer from) {
        String rule = text(from);
        double inverseScale = from.getDouble();
        double p = from.getDouble();
        int tensors = from.getInt();
        int groups = from.getInt();
        List<Shard> shards = new ArrayList<>();
        for (int i = 0; i < tensors; i++) shards.add(shard(from));
        Map<String, Integer> starts = new LinkedHashMap<>();
        int least = 0;
        for (int i = 0; i < groups; i++) {
            String name = text(from);
            int start = from.getInt();
            Objects.checkFromToIndex(least, start, tensors);
            starts.put(name, start);
            least = start;
        }
        RankLayout layout = new RankLayout(shards, starts);
        NormType type = Double.isNaN(p) ? null : NormType.p(p);
        if (Contribution.sums(type, layout) > from.remaining() / 8) throw new BufferUnderflowException();
        Contribution read = Contribution.of(rule, inverseScale, type, layout);
        int planes = from.get();
        get(from, read.sums().middle);
        if ((planes & LOW) != 0) get(from, read.sums().low);
        if ((planes & HIGH) != 0) get(from, read.sums().high);
        if ((planes & MAXIMUM) != 0) get(from, read.sums().maximum);
        return read;
    }

    private static Shard shard(ByteBuffer from) {
        Shard shard = new Shard(
                text(from),
                DType.values()[from.get()],
                from.getLong(),
                from.getLong(),
                from.getLong(),
                from.getInt(),
                from.getLong(),
                from.get() != 0);
        boolean isSound = shard.length() >= 0
                && shard.first() >= 0
                && shard.total() >= 0
                && shard.owner() >= Shard.SELF
                && (shard.length() == 0 || shard.segmentLength() > 0)
                && shard.fault().isEmpty();
        if (!isSound) throw new IllegalArgumentException("no shard is " + shard);
        return shard;
    }

    private static boolean hasAny(double[] sums) {
        for (double sum : sums) if (sum != 0) return true;
        return false;
    }

    private static int added(List<byte[]> names, String name) {
        byte[] bytes = utf8(name);
        names.add(bytes);
        return bytes.length;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void put(ByteBuffer to, byte[] text) {
        to.putInt(text.length).put(text);
    }

    private static void put(ByteBuffer to, double[] sums) {
        to.asDoubleBuffer().put(sums);
        to.position(to.position() + 8 * sums.length);
    }

    private static void get(ByteBuffer from, double[] sums) {
        from.asDoubleBuffer().get(sums);
        from.position(from.position() + 8 * sums.length);
    }

    private static String text(ByteBuffer from) {
        int length = from.getInt();
        if (length < 0 || length > from.remaining()) throw new BufferUnderflowException();
        byte[] bytes = new byte[length];
        from.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
