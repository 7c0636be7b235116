// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.io.IOException;

/** A file of images or labels cannot be taken as it is: it is malformed or not there. The message names the fault. */
public final class BadImagesException extends IOException {
    private static final long serialVersionUID = 1;

    BadImagesException(String message) {
        super(message);
    }
}
