// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One rank of several threads that meet in one JVM. */
final class ThreadExchange implements Exchange {
    /** Where the threads of one exchange meet: each leaves its bytes, and takes those of all once the last has come. */
    private static final class Meeting {
        private final long patienceNanos;
        private byte[] @Nullable [] left;
        private byte[][] taken = new byte[0][];
        private int arrived;
        private long round;
        private @Nullable String over;

        Meeting(int ranks, Duration patience) {
            left = new byte[ranks][];
            patienceNanos = patience.toNanos();
        }

        synchronized byte[][] meet(int rank, byte[] mine) {
            requireOpen();
            if (left[rank] != null) {
                throw end("rank " + rank + " came twice; every thread takes an exchange of its own", null);
            }
            left[rank] = mine.clone();
            long own = round;
            if (++arrived == left.length) {
                taken = new byte[left.length][];
                for (int i = 0; i < left.length; i++) taken[i] = left[i];
                left = new byte[left.length][];
                arrived = 0;
                round++;
                notifyAll();
            }
            long end = System.nanoTime() + patienceNanos;
            while (round == own) {
                requireOpen();
                long millis = (end - System.nanoTime()) / 1_000_000;
                if (millis <= 0) {
                    throw end("ranks " + missing() + " did not come within " + Duration.ofNanos(patienceNanos), null);
                }
                try {
                    wait(millis);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw end("a rank was interrupted while it waited for ranks " + missing(), e);
                }
            }
            return copied(taken);
        }

        private List<Integer> missing() {
            List<Integer> missing = new ArrayList<>();
            for (int i = 0; i < left.length; i++) if (left[i] == null) missing.add(i);
            return missing;
        }

        private ExchangeException end(String why, @Nullable Throwable cause) {
            over = why;
            notifyAll();
            return new ExchangeException(why, cause);
        }

        private void requireOpen() {
            if (over != null) throw new ExchangeException("the exchange is over: " + over, null);
        }

        private static byte[][] copied(byte[][] all) {
            byte[][] copy = all.clone();
            for (int i = 0; i < copy.length; i++) copy[i] = copy[i].clone();
            return copy;
        }
    }

    private final Meeting meeting;
    private final int rank;
    private final int size;

    private ThreadExchange(Meeting meeting, int rank, int size) {
        this.meeting = meeting;
        this.rank = rank;
        this.size = size;
    }

    static List<Exchange> of(int ranks, Duration patience) {
        if (ranks < 1) throw new IllegalArgumentException("an exchange has one rank or more, not " + ranks);
        Meeting meeting = new Meeting(ranks, patience);
        List<Exchange> all = new ArrayList<>();
        for (int i = 0; i < ranks; i++) all.add(new ThreadExchange(meeting, i, ranks));
        return all;
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public int size() {
        return size;
    }

    @Override
    public byte[][] allGather(byte[] mine) {
        return meeting.meet(rank, mine);
    }
}
