// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import org.jspecify.annotations.Nullable;

/** Thrown if ranks could not {@linkplain Exchange exchange} their bytes; no gradient was changed. */
public final class ExchangeException extends IllegalStateException {
    private static final long serialVersionUID = 1;

    /** Says what failed and which ranks are concerned. */
    public ExchangeException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
