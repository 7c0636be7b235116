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

    /** A killed process is known as ended once its parent has taken note of it. */
    private static final long NOTICE_NANOS = 2_000_000_000;

    private final Backend group;
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

    private TorchExchange(Backend group, int rank, int size) {
        this.group = group;
        this.rank = rank;
        this.size = size;
        for (byte[] sent : allGather(Peer.me().written())) peers.add(Peer.read(sent));
    }

    /**
     * Meets the other ranks, which all make this call, and waits for them.
     *
     * @param store where ranks find each other, such as a {@code FileStore} or a {@code TCPStore}
     * @param hostname a name or an address of this machine that the other ranks reach; {@code 127.0.0.1} where all are
     *     on one
     * @param patience how long a rank waits for another before it gives up
     * @throws ExchangeException if a rank does not come in that time
     */
    @SuppressWarnings("try") // a scope is there to be closed
    public static TorchExchange gloo(Store store, int rank, int size, String hostname, Duration patience) {
        if (rank < 0 || rank >= size) {
            throw new IllegalArgumentException("rank " + rank + " is none of " + size + " ranks from 0 on");
        }
        try (PointerScope scope = new PointerScope()) {
            ProcessGroupGloo.Options options = ProcessGroupGloo.Options.create();
            options.devices(new GlooDeviceVector(ProcessGroupGloo.createDeviceForHostname(hostname)));
            options.timeout(new Milliseconds(patience.toMillis()));
            ProcessGroupGloo group = new ProcessGroupGloo(store, rank, size, options);
            group.retainReference();
            return new TorchExchange(group, rank, size);
        } catch (ExchangeException e) {
            throw e;
        } catch (RuntimeException e) {
            throw new ExchangeException(
                    "rank " + rank + " of " + size + " did not meet all others within " + patience + ": "
                            + firstLine(e),
                    e);
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

    /** Says which ranks of this machine have ended, where one does not answer; after that no call succeeds. */
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
     * @throws ExchangeException if a rank does not answer; it says which ranks of this machine have ended, and after
     *     that no call succeeds
     */
    public void collective(Function<Backend, Work> collective) {
        if (over != null) throw new ExchangeException("the exchange is over: " + over, null);
        try {
            collective.apply(group)._wait();
        } catch (RuntimeException e) {
            over = "rank " + rank + " of " + size + " got no answer: " + who() + firstLine(e);
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
        Tensor all = torch.zeros(new long[] {slot * size}, bytes);
        BytePointer from = new BytePointer(own.data_ptr()).capacity(slot);
        from.putLong(0, mine.length);
        from.position(LENGTH_BYTES).put(mine, 0, (int) Math.min(room, mine.length));
        collective(ranks -> ranks._allgather_base(all, own));
        BytePointer to = new BytePointer(all.data_ptr()).capacity(slot * size);
        long longest = 0;
        for (int i = 0; i < size; i++) longest = Math.max(longest, to.getLong(i * slot));
        if (longest > room) {
            room = Long.highestOneBit(longest - 1) << 1;
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

    private String who() {
        if (peers.isEmpty()) return "";
        String here = peers.get(rank).host();
        long end = System.nanoTime() + NOTICE_NANOS;
        List<Integer> ended = ended(here);
        while (ended.isEmpty() && System.nanoTime() < end) {
            try {
                Thread.sleep(20);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                break;
            }
            ended = ended(here);
        }
        if (ended.isEmpty()) return "no rank of this machine has ended; ";
        return (ended.size() == 1 ? "rank " + ended.get(0) + " has" : "ranks " + ended + " have") + " ended; ";
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
        over = "it is closed";
        group.close();
    }
}
