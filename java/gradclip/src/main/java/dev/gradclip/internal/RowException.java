// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

/** A row of the table can't be bound; thrown by native code, and told to users with the tensor's name. */
public final class RowException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int row;

    /** Thrown through JNI. */
    RowException(int row, String why) {
        super(why);
        this.row = row;
    }

    /** Which row. */
    public int row() {
        return row;
    }

    /** What is wrong with it. */
    public String why() {
        return String.valueOf(getMessage());
    }
}
