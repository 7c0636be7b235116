// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.internal.rule.HistoryMemory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The histories of one rule on a device: the host copies them on demand. They are freed with the plan. */
public final class CudaHistory implements HistoryMemory {
    private final CudaPlan plan;
    private final ByteBuffer copied;
    private final long address;

    /** Makes the histories on the plan's device. */
    public CudaHistory(CudaPlan plan, double[] blocks) {
        this.plan = plan;
        copied = ByteBuffer.allocateDirect(Math.multiplyExact(blocks.length, Double.BYTES))
                .order(ByteOrder.nativeOrder());
        address = plan.createHistory(copied.capacity());
        written(blocks);
    }

    @Override
    public long address() {
        return address;
    }

    @Override
    public double[] blocks() {
        plan.copyHistory(address, copied, true);
        double[] blocks = new double[copied.capacity() / Double.BYTES];
        copied.asDoubleBuffer().get(blocks);
        return blocks;
    }

    @Override
    public void written(double[] blocks) {
        copied.asDoubleBuffer().put(blocks);
        plan.copyHistory(address, copied, false);
    }
}
