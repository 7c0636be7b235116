// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.ranks.ContributionFormat;
import java.time.Duration;
import java.util.List;
import java.util.function.Supplier;

/**
 * How ranks send each other bytes: processes over a network, or threads of one JVM. One thread at a time uses a rank's
 * exchange, and every rank makes the same calls.
 *
 * <pre>{@code
 * ClipResult result = clipper.clip(ClipRule.globalNorm(1.0), exchange);
 * }</pre>
 */
public interface Exchange {
    /** This rank, from 0 on. */
    int rank();

    /** The number of ranks. */
    int size();

    /**
     * Sends these bytes to all ranks and waits for theirs, which may be of any length.
     *
     * @return the bytes of every rank; entry i is rank i's
     * @throws ExchangeException if a rank does not answer
     */
    byte[][] allGather(byte[] mine);

    /**
     * Does work that every rank does before it exchanges. Where it throws, the other ranks get the reason instead of
     * bytes, so that {@link GlobalNorms#combine} throws there and they do not wait.
     *
     * <pre>{@code
     * HostBuffer gradient = exchange.orTell(() -> gradientOf(parameter));
     * }</pre>
     */
    default <T> T orTell(Supplier<T> work) {
        try {
            return work.get();
        } catch (RuntimeException | Error e) {
            try {
                allGather(ContributionFormat.failure(e));
            } catch (RuntimeException alsoFailed) {
                e.addSuppressed(alsoFailed);
            }
            throw e;
        }
    }

    /** Returns the exchanges of threads of this JVM, which wait a minute for each other. */
    static List<Exchange> inProcess(int ranks) {
        return inProcess(ranks, Duration.ofMinutes(1));
    }

    /**
     * Returns the exchanges of threads of this JVM, one for each rank.
     *
     * @param patience how long a rank waits for the others; after that the exchange is over on all of them
     * @throws IllegalArgumentException if there are no ranks
     */
    static List<Exchange> inProcess(int ranks, Duration patience) {
        return ThreadExchange.of(ranks, patience);
    }
}
