// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.reduce;

import dev.gradclip.NormType;

/** The kind of a tile's partial; the ordinals cross JNI. */
public enum NormKind {
    /** Sum of |x|. */
    L1,
    /** Sum of x². */
    L2,
    /** Maximum of |x|. */
    INF,
    /** Sum of (|x| / maximum of its segment)^p. */
    POWER;

    /** The kind of partial for a norm type. */
    public static NormKind of(NormType type) {
        if (type.equals(NormType.L2)) return L2;
        if (type.equals(NormType.L1)) return L1;
        return type.equals(NormType.INF) ? INF : POWER;
    }
}
