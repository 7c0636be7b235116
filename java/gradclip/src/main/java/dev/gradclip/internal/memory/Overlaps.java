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
 * Finds memory that is bound twice, such as the gradient of a tied weight collected twice: it would count twice in the
 * norm and be scaled twice. Direct buffers are compared only if the native library is loaded, which reads their
 * addresses.
 */
public final class Overlaps {
    private Overlaps() {}

    private record Range(@Nullable Object array, int hash, long start, long end, int segment) {}

    /**
     * Throws if two pieces share an element.
     *
     * @param segments the pieces of each segment
     * @param name returns a segment's name in the message
     */
    public static void refuse(List<List<Piece>> segments, IntFunction<String> name) {
        long[] keys = keys(segments);
        Arrays.sort(keys);
        boolean suspicious = false;
        for (int i = 1; i < keys.length; i++) suspicious |= keys[i] == keys[i - 1] && keys[i] != 0;
        if (suspicious || directOverlap(segments)) refuseSlowly(segments, name);
    }

    public static String message(String a, String b) {
        return a + " and " + b + " share memory; each gradient is bound once (a tied weight has one gradient)";
    }

    /** Returns a hash of each piece's array, equal for equal arrays and rarely for others; 0 outside the heap. */
    private static long[] keys(List<List<Piece>> segments) {
        int count = 0;
        for (List<Piece> pieces : segments) count += pieces.size();
        long[] keys = new long[count];
        int next = 0;
        for (List<Piece> pieces : segments) {
            for (Piece piece : pieces) {
                keys[next++] = piece.array() == null ? 0 : System.identityHashCode(piece.array());
            }
        }
        return keys;
    }

    /** Returns true if pieces outside the heap overlap. */
    private static boolean directOverlap(List<List<Piece>> segments) {
        int direct = 0;
        for (List<Piece> pieces : segments) for (Piece piece : pieces) if (isDirect(piece)) direct++;
        Scratch ranges = new Scratch(direct);
        for (List<Piece> pieces : segments) {
            for (Piece piece : pieces) if (isDirect(piece)) ranges.add(addressOf(piece), piece.byteLength());
        }
        return ranges.hasOverlap();
    }

    /** A list of address ranges that is searched for overlaps without allocating. */
    public static final class Scratch {
        private final long[] starts;
        private final long[] ends;
        private int size;

        public Scratch(int most) {
            starts = new long[most];
            ends = new long[most];
        }

        public void clear() {
            size = 0;
        }

        /** Adds a range; ignores an empty one, and one at address 0. */
        public void add(long start, long bytes) {
            if (start == 0 || bytes == 0) return;
            starts[size] = start;
            ends[size++] = start + bytes;
        }

        /** Returns true if, with starts and ends sorted separately, an end is beyond the next start. */
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
            // Arrays with one hash may alternate, so look back for the latest range in the same array.
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
