// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.io.IOException;

/** A folder of images cannot be taken as it is: a file is missing or malformed, and the message names it. */
public final class BadImagesException extends IOException {
    private static final long serialVersionUID = 1;

    BadImagesException(String message) {
        super(message);
    }
}
