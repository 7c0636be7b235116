// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.ranks;

import dev.gradclip.DType;
import dev.gradclip.internal.reduce.Cut;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.reduce.Tiles;

/**
 * What one rank holds of one tensor: the elements {@code [first, first + length)} of {@code total}.
 *
 * @param owner the rank that counts them; {@link #SELF} if that is the rank that holds them
 * @param segmentLength the elements that have a norm of their own: those of a row, or {@code total} without rows;
 *     {@link #UNKNOWN} where the rank holds none
 * @param isPresent false if the gradient is absent in this step
 */
public record Shard(
        String name,
        DType dtype,
        long total,
        long first,
        long length,
        int owner,
        long segmentLength,
        boolean isPresent) {
    public static final int SELF = -1;
    public static final long UNKNOWN = -1;

    long end() {
        return first + length;
    }

    boolean isCountedBy(int rank) {
        return length > 0 && (owner == SELF || owner == rank);
    }

    public Shard present(boolean now) {
        return new Shard(name, dtype, total, first, length, owner, segmentLength, now);
    }

    /** Returns true if the shard is whole segments, so that each of its sums is a segment's. */
    public boolean isOfSegments() {
        return length == 0 || (first % segmentLength == 0 && length % segmentLength == 0);
    }

    /** The number of segments of which this shard holds elements. */
    public int segments() {
        return length == 0 ? 0 : Math.toIntExact(Math.max(1, length / segmentLength));
    }

    /** The segment of its tensor that the shard begins in. */
    public int firstSegment() {
        return length == 0 ? 0 : Math.toIntExact(first / segmentLength);
    }

    public Cut cut() {
        return Cut.of(dtype, first, length, segmentLength);
    }

    /** Returns true if its sums are those of a {@link #cut}, and not one for each segment. */
    public boolean isCut(NormKind kind) {
        return !isOfSegments() && (kind == NormKind.L1 || kind == NormKind.L2);
    }

    /** The number of sums that stand for the shard. */
    int sums(NormKind kind) {
        return isCut(kind) ? cut().sums() : segments();
    }

    /** Returns why a shard can't begin and end where it does; an empty text if it can. */
    public String fault() {
        if (length > total - first) {
            return "is elements " + range() + " of " + total + ", which has no such elements";
        }
        if (length == 0 || isOfSegments()) return "";
        int tile = Tiles.elements(dtype);
        if (segmentLength != total) {
            return "is elements " + range() + " of " + total + ", which do not begin and end with its rows of "
                    + segmentLength + "; cut a tensor with rows between rows";
        }
        if (first % tile == 0 && (end() == total || end() % tile == 0)) return "";
        return "is elements " + range() + " of " + total + "; cut a tensor at multiples of " + tile + " elements of "
                + dtype + " (a tile of 8 KiB), or bind it with rows and cut between them";
    }

    String range() {
        return "[" + first + ", " + end() + ")";
    }
}
