// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * Thrown if CUDA refuses a call or reports that earlier work failed. The message has CUDA's name and text for the
 * error, the call, and what to do.
 *
 * <pre>{@code
 * try (DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, elements)) {
 *     …
 * } catch (CudaException e) {
 *     if (e.code() != CudaException.OUT_OF_MEMORY) throw e;
 * }
 * }</pre>
 */
public sealed class CudaException extends RuntimeException permits CudaFatalException {
    private static final long serialVersionUID = 1;

    /** The code {@code cudaErrorMemoryAllocation}. */
    public static final int OUT_OF_MEMORY = 2;

    private final int code;

    /** Called from native code, which throws the exception. */
    CudaException(String message, int code) {
        this(message, code, remedy(code));
    }

    CudaException(String message, int code, String remedy) {
        super(remedy.isEmpty() ? message : message + ". " + remedy);
        this.code = code;
    }

    /** CUDA's number for the error, a {@code cudaError_t}. */
    public int code() {
        return code;
    }

    private static String remedy(int code) {
        return switch (code) {
            case OUT_OF_MEMORY -> "Free device memory, or clip in smaller parts";
            case 100, 101 -> "Name one of the devices that Backend.CUDA.details() lists";
            case 209 -> "Use a build of the library that covers this device's architecture";
            default -> "";
        };
    }
}
