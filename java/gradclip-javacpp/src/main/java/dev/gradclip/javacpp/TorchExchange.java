// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import dev.gradclip.Exchange;
import dev.gradclip.ExchangeException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.Backend;
import org.bytedeco.pytorch.GlooDeviceVector;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.Store;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.Work;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/**
 * An {@link Exchange} between processes over LibTorch's Gloo. One thread at a time uses it.
 *
 * <pre>{@code
 * Store store = new FileStore(file, size);
 * try (TorchExchange exchange = TorchExchange.gloo(store, rank, size, "127.0.0.1", Duration.ofSeconds(30))) {
 *     clipper.clip(ClipRule.globalNorm(1.0), exchange);
 * }
 * }</pre>
 *
 * <p>Messages of one length take one collective. Where one grows beyond the longest so far, every rank sees that and
 * gathers once more.
 */
public final class TorchExchange implements Exchange, AutoCloseable {
    private static final int LENGTH_BYTES = 8;

    /**
     * How long a rank that got no answer looks for who is missing. A killed process is known as ended once its parent
     * has taken note of it, and others that wait give up at about the same time.
     */
    private static final long NOTICE_NANOS = 2_000_000_000;

    /** Under these keys, with its number, a rank says in the store that it has come, given up, or closed. */
    private static final String HERE = "gradclip/here/";

    private static final String GAVE_UP = "gradclip/gave-up/";
    private static final String CLOSED = "gradclip/closed/";

    private final Backend group;
    private final Store store;
    private final Duration patience;
    private final int rank;
    private final int size;
    private final List<Peer> peers = new ArrayList<>();
    private long room = 4096;
    private @Nullable String over;

    /** Where the process of a rank runs. */
    private record Peer(String host, long process) {
        static Peer me() {
            try {
                return new Peer(
                        InetAddress.getLocalHost().getHostName(),
                        ProcessHandle.current().pid());
            } catch (UnknownHostException e) {
                return new Peer("", ProcessHandle.current().pid());
            }
        }

        static Peer read(byte[] bytes) {
            String[] parts = new String(bytes, StandardCharsets.UTF_8).split(" ", 2);
            return new Peer(parts[1], Long.parseLong(parts[0]));
        }

        byte[] written() {
            return (process + " " + host).getBytes(StandardCharsets.UTF_8);
        }

        boolean hasEnded(String here) {
            if (!host.equals(here)) return false;
            Optional<ProcessHandle> handle = ProcessHandle.of(process);
            return handle.isEmpty() || !handle.get().isAlive();
        }
    }

    private TorchExchange(Backend group, Store store, int rank, int size, Duration patience) {
        this.group = group;
        this.store = store;
        this.patience = patience;
        this.rank = rank;
        this.size = size;
        for (byte[] sent : allGather(Peer.me().written())) peers.add(Peer.read(sent));
    }

    /**
     * Meets the other ranks, which all make this call, and waits for them.
     *
     * @param store where ranks find each other, such as a {@code FileStore} or a {@code TCPStore}; it stays open while
     *     the exchange is used, and tells who is missing where one does not answer
     * @param hostname a name or an address of this machine that the other ranks reach; {@code 127.0.0.1} where all are
     *     on one
     * @param patience how long a rank waits for another before it gives up
     * @throws ExchangeException if a rank does not come in that time; it says which
     */
    @SuppressWarnings("try") // a scope is there to be closed
    public static TorchExchange gloo(Store store, int rank, int size, String hostname, Duration patience) {
        if (rank < 0 || rank >= size) {
            throw new IllegalArgumentException("rank " + rank + " is none of " + size + " ranks from 0 on");
        }
        try (PointerScope scope = new PointerScope()) {
            store.add(HERE + rank, 1);
            ProcessGroupGloo.Options options = ProcessGroupGloo.Options.create();
            options.devices(new GlooDeviceVector(ProcessGroupGloo.createDeviceForHostname(hostname)));
            options.timeout(new Milliseconds(patience.toMillis()));
            ProcessGroupGloo group = new ProcessGroupGloo(store, rank, size, options);
            group.retainReference();
            return new TorchExchange(group, store, rank, size, patience);
        } catch (ExchangeException e) {
            throw e;
        } catch (RuntimeException e) {
            say(store, GAVE_UP, rank);
            String who = whoDidNotMeet(store, rank, size, patience);
            throw new ExchangeException(
                    "rank " + rank + " of " + size + " did not meet all others: " + who + firstLine(e), e);
        }
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public int size() {
        return size;
    }

    /** Says who is missing, where a rank does not answer; after that no call succeeds. */
    @Override
    @SuppressWarnings("try") // a scope is there to be closed
    public byte[][] allGather(byte[] mine) {
        try (PointerScope scope = new PointerScope()) {
            byte[][] all = gatherOnce(mine);
            // Every rank sees the same lengths, so all gather again or none does.
            return all == null ? gatherAgain(mine) : all;
        }
    }

    /**
     * Does another collective of LibTorch's among these ranks, and waits for it.
     *
     * <pre>{@code
     * exchange.collective(group -> group.allreduce(gradients));
     * }</pre>
     *
     * @throws ExchangeException if a rank does not answer; it says which ranks of this machine have ended, or which
     *     ones did not answer in time, and after that no call succeeds
     */
    public void collective(Function<Backend, Work> collective) {
        if (over != null) throw new ExchangeException("the exchange is over: " + over, null);
        long start = System.nanoTime();
        try {
            collective.apply(group)._wait();
        } catch (RuntimeException e) {
            String within = System.nanoTime() - start < patience.toNanos() ? "" : " within " + seconds(patience);
            over = "rank " + rank + " of " + size + " got no answer: " + who(within) + firstLine(e);
            throw new ExchangeException(over, e);
        }
    }

    private byte[][] gatherAgain(byte[] mine) {
        byte[][] all = gatherOnce(mine);
        if (all == null) throw new IllegalStateException("the room is still too small");
        return all;
    }

    /** Gathers what fits the room; where something does not, makes the room larger and returns null. */
    private byte @Nullable [][] gatherOnce(byte[] mine) {
        TensorOptions bytes = new TensorOptions(ScalarType.Byte);
        long slot = LENGTH_BYTES + room;
        Tensor own = torch.zeros(new long[] {slot}, bytes);
        Tensor all = torch.empty(new long[] {slot * size}, bytes, new MemoryFormatOptional());
        BytePointer from = new BytePointer(own.data_ptr()).capacity(slot);
        from.putLong(0, mine.length);
        from.position(LENGTH_BYTES).put(mine, 0, (int) Math.min(room, mine.length));
        collective(ranks -> ranks._allgather_base(all, own));
        BytePointer to = new BytePointer(all.data_ptr()).capacity(slot * size);
        long longest = 0;
        for (int i = 0; i < size; i++) longest = Math.max(longest, to.getLong(i * slot));
        if (longest > room) {
            // A little more than needed, so that a length that varies by a few bytes grows it once; doubles stay
            // aligned.
            room = (longest + longest / 16 + LENGTH_BYTES - 1) / LENGTH_BYTES * LENGTH_BYTES;
            return null;
        }
        byte[][] gathered = new byte[size][];
        for (int i = 0; i < size; i++) {
            gathered[i] = new byte[(int) to.getLong(i * slot)];
            to.position(i * slot + LENGTH_BYTES).get(gathered[i]);
            to.position(0);
        }
        return gathered;
    }

    /**
     * Tells the others that this rank waits no longer, and says whom it waited for.
     *
     * @param within how long it has waited, where that was all its patience: a closed connection is noticed before
     */
    private String who(String within) {
        say(store, GAVE_UP, rank);
        long end = System.nanoTime() + NOTICE_NANOS;
        while (true) {
            List<Integer> ended =
                    peers.isEmpty() ? List.of() : ended(peers.get(rank).host());
            if (!ended.isEmpty()) return ranks(ended) + have(ended) + " ended; ";
            List<Integer> closed = with(store, CLOSED, rank, size);
            if (!closed.isEmpty()) return ranks(closed) + have(closed) + " closed the exchange; ";
            List<Integer> silent = without(store, GAVE_UP, rank, size);
            if (silent.isEmpty()) return size == 1 ? "" : "the others have given up; ";
            if (System.nanoTime() > end || !rest()) {
                return ranks(silent) + " did not answer" + within + "; ";
            }
        }
    }

    private static String whoDidNotMeet(Store store, int rank, int size, Duration patience) {
        List<Integer> absent = without(store, HERE, rank, size);
        if (!absent.isEmpty()) return ranks(absent) + " did not come within " + seconds(patience) + "; ";
        List<Integer> gone = with(store, GAVE_UP, rank, size);
        return gone.isEmpty() ? "" : ranks(gone) + have(gone) + " given up; ";
    }

    private static void say(Store store, String key, int rank) {
        try {
            store.add(key + rank, 1);
        } catch (RuntimeException e) {
            // A store that is gone tells nobody anything; that a rank does not answer is reported all the same.
        }
    }

    /** The other ranks that have not said so in the store; all of them where the store does not answer either. */
    private static List<Integer> without(Store store, String key, int rank, int size) {
        List<Integer> without = new ArrayList<>();
        for (int i = 0; i < size; i++) {
            if (i == rank) continue;
            try {
                if (store.add(key + i, 0) == 0) without.add(i);
            } catch (RuntimeException e) {
                without.add(i);
            }
        }
        return without;
    }

    /** The other ranks that have said so in the store. */
    private static List<Integer> with(Store store, String key, int rank, int size) {
        List<Integer> with = new ArrayList<>();
        for (int i = 0; i < size; i++) if (i != rank) with.add(i);
        with.removeAll(without(store, key, rank, size));
        return with;
    }

    /** Waits a little; returns false if the thread is interrupted. */
    private static boolean rest() {
        try {
            Thread.sleep(20);
            return true;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private static String ranks(List<Integer> ranks) {
        return ranks.size() == 1 ? "rank " + ranks.get(0) : "ranks " + ranks;
    }

    private static String have(List<Integer> ranks) {
        return ranks.size() == 1 ? " has" : " have";
    }

    private static String seconds(Duration time) {
        return time.toMillis() / 1e3 + " s";
    }

    private List<Integer> ended(String here) {
        List<Integer> ended = new ArrayList<>();
        for (int i = 0; i < peers.size(); i++) if (i != rank && peers.get(i).hasEnded(here)) ended.add(i);
        return ended;
    }

    private static String firstLine(RuntimeException e) {
        return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    }

    /** Leaves the group; the store stays the caller's. */
    @Override
    public void close() {
        if (over == null) say(store, CLOSED, rank);
        over = "it is closed";
        group.close();
    }
}
