// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import dev.gradclip.DType;
import java.nio.DoubleBuffer;

/**
 * A part of a segment that ends at tiles, and the sums that stand for it. A run that lies in the part as a whole adds
 * up to one number, whatever its neighbours are. So the part is the partials of the tiles before its first whole run,
 * the sum of each whole run, and the partials of the tiles after its last. The sums of all parts, in the order of their
 * addresses, add up to the bits of the segment.
 */
public final class Cut {
    private final int head;
    private final int tiles;
    private final int tail;

    private Cut(int head, int tiles, int tail) {
        this.head = head;
        this.tiles = tiles;
        this.tail = tail;
    }

    /** Describes the elements {@code [first, first + length)} of a segment of {@code total}; first is a tile's. */
    public static Cut of(DType dtype, long first, long length, long total) {
        long from = first / Tiles.elements(dtype);
        long to = from + Tiles.count(dtype, length);
        long firstRun = Math.min(to, (from + Fold.RUN - 1) / Fold.RUN * Fold.RUN);
        // The last run of a segment may be a short one.
        long lastRun = first + length == total ? to : Math.max(firstRun, to - to % Fold.RUN);
        return new Cut((int) (firstRun - from), Math.toIntExact(to - from), (int) (to - lastRun));
    }

    private int runs() {
        return (tiles - head - tail + Fold.RUN - 1) / Fold.RUN;
    }

    /** The number of sums. */
    public int sums() {
        return head + runs() + tail;
    }

    /** Writes the sums of partials, of which {@code at} is the first, to {@code to} from {@code toAt} on. */
    public void write(DoubleBuffer partials, int at, Fold fold, double[] to, int toAt) {
        partials.get(at, to, toAt, head);
        int runs = runs();
        int end = at + tiles - tail;
        for (int i = 0; i < runs; i++) {
            int from = at + head + i * Fold.RUN;
            to[toAt + head + i] = fold.sum(partials, from, Math.min(end, from + Fold.RUN));
        }
        partials.get(end, to, toAt + head + runs, tail);
    }

    /** Adds the sums, of which {@code sums[at]} is the first. */
    void addTo(Fold fold, double[] sums, int at) {
        int runs = runs();
        fold.addAll(sums, at, at + head);
        for (int i = 0; i < runs; i++) fold.addRun(sums[at + head + i]);
        fold.addAll(sums, at + head + runs, at + sums());
    }
}
