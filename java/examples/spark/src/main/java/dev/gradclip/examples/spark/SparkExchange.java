// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.spark;

import dev.gradclip.Exchange;
import dev.gradclip.ExchangeException;
import java.util.Arrays;
import java.util.Base64;
import org.apache.spark.BarrierTaskContext;
import org.apache.spark.TaskKilledException;

/**
 * An exchange between the tasks of a barrier stage, whose partitions are the ranks. Spark gathers texts, so that the
 * bytes go as Base64. How long a task waits for the others is {@code spark.barrier.sync.timeout}; where a task fails,
 * Spark ends the stage.
 *
 * <pre>{@code
 * rdd.barrier().mapPartitions(own -> {
 *     ClipResult result = clipper.clip(ClipRule.globalNorm(1.0), new SparkExchange(BarrierTaskContext.get()));
 *     …
 * })
 * }</pre>
 */
final class SparkExchange implements Exchange {
    private final BarrierTaskContext context;

    SparkExchange(BarrierTaskContext context) {
        this.context = context;
    }

    @Override
    public int rank() {
        return context.partitionId();
    }

    @Override
    public int size() {
        return context.getTaskInfos().length;
    }

    @Override
    public byte[][] allGather(byte[] mine) {
        try {
            // In the order of the partitions.
            String[] sent = context.allGather(Base64.getEncoder().encodeToString(mine));
            return Arrays.stream(sent).map(Base64.getDecoder()::decode).toArray(byte[][]::new);
        } catch (TaskKilledException e) {
            throw e;
        } catch (RuntimeException e) {
            throw new ExchangeException(
                    "partition " + rank() + " of " + size() + " got no answer: " + e.getMessage(), e);
        }
    }
}
