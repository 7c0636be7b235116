// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

/** Where the histories of one rule are: on the host, or on the device of the gradients. */
public interface HistoryMemory {
    /** The blocks, one after the other; the memory itself on the host, a copy of it on a device. */
    double[] blocks();

    /** Takes what was written into {@link #blocks}. */
    void written(double[] blocks);

    /** The address on the device. */
    default long address() {
        throw new IllegalStateException("the histories are in host memory");
    }

    /** Histories on the host. */
    final class OnHost implements HistoryMemory {
        private final double[] blocks;

        /** Keeps the blocks themselves. */
        public OnHost(double[] blocks) {
            this.blocks = blocks;
        }

        @Override
        public double[] blocks() {
            return blocks;
        }

        @Override
        public void written(double[] written) {
            System.arraycopy(written, 0, blocks, 0, blocks.length);
        }
    }
}
