// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import dev.gradclip.NormType;

/** The kind of a tile's partial; the ordinals cross JNI. */
public enum NormKind {
    /** The sum of |x|. */
    L1,
    /** The sum of x². */
    L2,
    /** The maximum of |x|. */
    INF,
    /** The sum of (|x| / m)^p, where m is the maximum of the segment. */
    POWER;

    /** The kind of partial for a norm type. */
    public static NormKind of(NormType type) {
        if (type.equals(NormType.L2)) return L2;
        if (type.equals(NormType.L1)) return L1;
        return type.equals(NormType.INF) ? INF : POWER;
    }
}
