// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** Thrown if a gradient is NaN or infinite and the policy is {@link NonFinitePolicy#ERROR}; nothing was changed. */
public final class NonFiniteGradientException extends ArithmeticException {
    private static final long serialVersionUID = 1;

    private final String tensor;

    /** Names a tensor whose norm is not finite. */
    public NonFiniteGradientException(String tensor, double norm) {
        this(tensor, "its norm is " + norm);
    }

    /** Names a tensor with rows, and the first of its rows that is not finite. */
    public NonFiniteGradientException(String tensor, int row, double norm) {
        this(tensor, "the norm of its row " + row + " is " + norm);
    }

    private NonFiniteGradientException(String tensor, String what) {
        super("gradient of " + tensor + " is not finite (" + what
                + "); nothing was changed. Lower the learning rate or the loss scale, or choose the policy "
                + "SKIP or ZERO");
        this.tensor = tensor;
    }

    /** The name of the first tensor, in the order bound, that holds a NaN or an infinity. */
    public String tensor() {
        return tensor;
    }
}
