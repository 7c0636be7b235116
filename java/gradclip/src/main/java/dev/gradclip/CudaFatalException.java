// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * Work on a device faulted, and CUDA refuses everything in this process from now on: what was in device memory is lost. The
 * clipper that met it refuses further work with an {@link IllegalStateException} that says so.
 *
 * <p>Most often memory was freed while a clipper was bound to its address, or was shorter than it was said to be.
 */
public final class CudaFatalException extends CudaException {
    private static final long serialVersionUID = 1;

    /** Thrown through JNI. */
    CudaFatalException(String message, int code) {
        super(
                message,
                code,
                "Nothing more runs on this device in this process: restart it from a checkpoint. To find the cause, check "
                        + "that memory lives as long as it is bound, and run under compute-sanitizer");
    }
}
