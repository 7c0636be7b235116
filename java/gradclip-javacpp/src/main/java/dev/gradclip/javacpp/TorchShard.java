// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import dev.gradclip.GradientClipperBuilder;

/**
 * What a parameter is of a tensor that ranks share.
 *
 * @param total the length of that tensor, or {@link #NONE}
 * @param owner the rank that counts the parameter, or {@link #NONE}
 */
record TorchShard(long first, long total, int owner) {
    private static final int NONE = -1;

    static final TorchShard WHOLE = new TorchShard(0, NONE, NONE);

    TorchShard at(long firstElement, long totalLength) {
        return new TorchShard(firstElement, totalLength, owner);
    }

    TorchShard ownedBy(int rank) {
        if (rank < 0) throw new IllegalArgumentException("ranks begin with 0, but the owner is " + rank);
        return new TorchShard(first, total, rank);
    }

    /** Declares it of the tensor that the builder was given last. */
    void declare(GradientClipperBuilder builder) {
        if (total != NONE) builder.shard(first, total);
        if (owner != NONE) builder.replica(owner);
    }
}
