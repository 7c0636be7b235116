// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * What one rank adds to a norm over all ranks, from {@link GradientClipper#partialNorm(ClipRule)}: sums with the
 * addresses of what they are sums of, not a norm, so that the order of additions does not depend on the ranks.
 *
 * <pre>{@code
 * byte[] mine = clipper.partialNorm(rule).toBytes();
 * }</pre>
 *
 * <p>A tensor that a rank holds whole is one double (three for a FLOAT64 outside [2^-900, 2^900]), a tensor with rows
 * one for each row. A shard is one for each 8 MiB, and one for each 8 KiB of a run of 8 MiB that it shares.
 */
public final class PartialNorm {
    private final byte[] bytes;

    PartialNorm(byte[] bytes) {
        this.bytes = bytes;
    }

    /** Returns the bytes for {@link GlobalNorms#combine}, the same on every machine. */
    public byte[] toBytes() {
        return bytes.clone();
    }

    /** The number of bytes. */
    public int length() {
        return bytes.length;
    }

    @Override
    public String toString() {
        return "PartialNorm[" + bytes.length + " bytes]";
    }
}
