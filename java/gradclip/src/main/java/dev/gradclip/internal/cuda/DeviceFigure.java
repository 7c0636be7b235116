// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

/**
 * A figure that a decision leaves on the device for kernels of the user, by its offset in the struct Finding or
 * Decision.
 */
public enum DeviceFigure {
    COEFFICIENT("coefficient", false, 0),
    NON_FINITE("finding", true, 0),
    INVERSE_COEFFICIENT("coefficient", true, 4),
    NORM("norm", true, 8),
    SQUARED_NORM("norm", true, 16),
    SKIP("finding", true, 24);

    /** The name in messages. */
    public final String what;

    final boolean isFinding;
    final int offset;

    DeviceFigure(String what, boolean isFinding, int offset) {
        this.what = what;
        this.isFinding = isFinding;
        this.offset = offset;
    }
}
