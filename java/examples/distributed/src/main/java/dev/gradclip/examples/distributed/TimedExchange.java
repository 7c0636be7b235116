// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.distributed;

import dev.gradclip.Exchange;

/** Measures how long an exchange takes, the waiting for other ranks included, and how many bytes a rank sends. */
final class TimedExchange implements Exchange {
    private final Exchange exchange;
    private long nanos;
    private long bytes;

    TimedExchange(Exchange exchange) {
        this.exchange = exchange;
    }

    @Override
    public int rank() {
        return exchange.rank();
    }

    @Override
    public int size() {
        return exchange.size();
    }

    @Override
    public byte[][] allGather(byte[] mine) {
        long start = System.nanoTime();
        byte[][] all = exchange.allGather(mine);
        nanos += System.nanoTime() - start;
        bytes += mine.length;
        return all;
    }

    /** The time of all exchanges since the last call of this method. */
    long nanos() {
        long since = nanos;
        nanos = 0;
        return since;
    }

    /** The bytes that this rank has sent since the last call of this method. */
    long bytes() {
        long since = bytes;
        bytes = 0;
        return since;
    }
}
