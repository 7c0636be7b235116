// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** Thrown if a gradient is NaN or infinite and the policy is {@link NonFinitePolicy#ERROR}; nothing was changed. */
public final class NonFiniteGradientException extends ArithmeticException {
    private static final long serialVersionUID = 1;

    private final String tensor;
    private final int rank;

    /** Names a tensor whose norm is not finite. */
    public NonFiniteGradientException(String tensor, double norm) {
        this(tensor, -1, "its norm is " + norm);
    }

    /** Names a tensor with rows, and the first of its rows that is not finite. */
    public NonFiniteGradientException(String tensor, int row, double norm) {
        this(tensor, -1, "the norm of its row " + row + " is " + norm);
    }

    /**
     * Names a tensor whose norm is not finite on one rank.
     *
     * @param row the first such row of a tensor with rows, counted over all ranks; -1 for a tensor without
     */
    public NonFiniteGradientException(String tensor, int row, int rank, double norm) {
        this(tensor, rank, row < 0 ? "its norm is " + norm : "the norm of its row " + row + " is " + norm);
    }

    private NonFiniteGradientException(String tensor, int rank, String what) {
        super("gradient of " + tensor + (rank < 0 ? "" : " on rank " + rank) + " is not finite (" + what
                + "); nothing was changed. Lower the learning rate or the loss scale, or choose the policy "
                + "SKIP or ZERO");
        this.tensor = tensor;
        this.rank = rank;
    }

    /** The name of the first tensor, in the order bound, that holds a NaN or an infinity. */
    public String tensor() {
        return tensor;
    }

    /** The rank that holds it, of a norm {@linkplain GlobalNorms over ranks}; -1 for a norm of one process. */
    public int rank() {
        return rank;
    }
}
