// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * Thrown if work on a device faulted: CUDA then refuses everything in this process, and what was in device memory is
 * lost. The clipper that met the fault refuses further work with an {@link IllegalStateException} that says so.
 *
 * <p>The usual cause is memory that was freed while a clipper was bound to its address, or that is shorter than the
 * length it was bound with.
 */
public final class CudaFatalException extends CudaException {
    private static final long serialVersionUID = 1;

    /** Called from native code, which throws the exception. */
    CudaFatalException(String message, int code) {
        super(
                message,
                code,
                "Nothing more runs on this device in this process: restart it from a checkpoint. To find the cause, "
                        + "check that memory lives as long as it is bound, and run under compute-sanitizer");
    }
}
