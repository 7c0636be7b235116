// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

/** A piece of the table can't be bound. Native code throws it; users get an exception that names the tensor. */
public final class UnboundPieceException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int piece;

    /** Called by native code too. */
    public UnboundPieceException(int piece, String why) {
        super(why);
        this.piece = piece;
    }

    /** The index of the piece in the table; for a plan on the CPU, that of its segment. */
    public int piece() {
        return piece;
    }

    /** The end of a sentence that begins with the tensor's name. */
    public String why() {
        return String.valueOf(getMessage());
    }
}
