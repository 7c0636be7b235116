// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.memory;

import dev.gradclip.internal.jni.NativeCpu;
import dev.gradclip.internal.jni.NativeLibrary;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * Finds memory that is bound twice, as a tied weight collected twice is: it would count twice in the norm and be scaled
 * twice. Direct buffers are compared where the native library is loaded to tell their addresses.
 */
public final class Overlaps {
    private Overlaps() {}

    private record Range(@Nullable Object array, int hash, long start, long end, int segment) {}

    /**
     * Throws if two pieces share an element.
     *
     * @param segments the pieces of each segment
     * @param name what to call a segment
     */
    public static void refuse(List<List<Piece>> segments, IntFunction<String> name) {
        long[] keys = keys(segments);
        Arrays.sort(keys);
        boolean suspicious = false;
        for (int i = 1; i < keys.length; i++) suspicious |= keys[i] == keys[i - 1] && keys[i] != 0;
        if (suspicious || directOverlap(segments)) refuseSlowly(segments, name);
    }

    /** The message about two tensors that share memory. */
    public static String message(String a, String b) {
        return a + " and " + b + " share memory; each gradient is bound once (a tied weight has one gradient)";
    }

    /** One number a piece, equal where the arrays are, which is rare enough otherwise; 0 for what needs no look. */
    private static long[] keys(List<List<Piece>> segments) {
        int rows = 0;
        for (List<Piece> pieces : segments) rows += pieces.size();
        long[] keys = new long[rows];
        int row = 0;
        for (List<Piece> pieces : segments) {
            for (Piece piece : pieces) {
                keys[row++] = piece.array() == null ? 0 : System.identityHashCode(piece.array());
            }
        }
        return keys;
    }

    /** Returns true if ranges outside the heap overlap. */
    private static boolean directOverlap(List<List<Piece>> segments) {
        int direct = 0;
        for (List<Piece> pieces : segments) for (Piece piece : pieces) if (isDirect(piece)) direct++;
        Scratch ranges = new Scratch(direct);
        for (List<Piece> pieces : segments) {
            for (Piece piece : pieces) if (isDirect(piece)) ranges.add(addressOf(piece), piece.byteLength());
        }
        return ranges.hasOverlap();
    }

    /** Ranges of addresses, to be looked through for overlaps again and again without allocating. */
    public static final class Scratch {
        private final long[] starts;
        private final long[] ends;
        private int size;

        /** Room for so many ranges. */
        public Scratch(int most) {
            starts = new long[most];
            ends = new long[most];
        }

        /** Forgets all. */
        public void clear() {
            size = 0;
        }

        /** One more; one that is empty, or at no address, does not count. */
        public void add(long start, long bytes) {
            if (start == 0 || bytes == 0) return;
            starts[size] = start;
            ends[size++] = start + bytes;
        }

        /** Sorted each for themselves, every end must be at or before the next start. */
        public boolean hasOverlap() {
            Arrays.sort(starts, 0, size);
            Arrays.sort(ends, 0, size);
            for (int i = 1; i < size; i++) if (ends[i - 1] > starts[i]) return true;
            return false;
        }
    }

    private static boolean isDirect(Piece piece) {
        return piece.array() == null && piece.length() > 0;
    }

    private static void refuseSlowly(List<List<Piece>> segments, IntFunction<String> name) {
        List<Range> ranges = new ArrayList<>();
        for (int segment = 0; segment < segments.size(); segment++) {
            for (Piece piece : segments.get(segment)) {
                if (piece.length() == 0) continue;
                long start = piece.array() != null ? piece.arrayOffset() : addressOf(piece);
                if (piece.array() == null && start == 0) continue;
                int hash = System.identityHashCode(piece.array());
                ranges.add(new Range(piece.array(), hash, start, start + piece.byteLength(), segment));
            }
        }
        ranges.sort(Comparator.comparingInt(Range::hash).thenComparingLong(Range::start));
        for (int i = 1; i < ranges.size(); i++) {
            Range b = ranges.get(i);
            // Arrays of one hash may alternate, so look back through all of the hash that could reach this start.
            for (int j = i - 1; j >= 0 && ranges.get(j).hash == b.hash; j--) {
                Range a = ranges.get(j);
                if (a.array != b.array) continue;
                if (a.end > b.start) {
                    throw new IllegalArgumentException(message(name.apply(a.segment), name.apply(b.segment)));
                }
                break;
            }
        }
    }

    private static long addressOf(Piece piece) {
        if (piece.address() != 0) return piece.address();
        return piece.view() != null && NativeLibrary.instance().isLoaded() ? NativeCpu.address(piece.view()) : 0;
    }
}
