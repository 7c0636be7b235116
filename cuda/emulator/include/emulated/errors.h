// SPDX-License-Identifier: Apache-2.0
/// CUDA's error codes, as far as they can occur here or are looked at by the library.
#pragma once

#define GRADCLIP_CUDA_ERRORS(ERROR)                                                      \
  ERROR(cudaSuccess, 0, "no error")                                                      \
  ERROR(cudaErrorInvalidValue, 1, "invalid argument")                                    \
  ERROR(cudaErrorMemoryAllocation, 2, "out of memory")                                   \
  ERROR(cudaErrorInitializationError, 3, "initialization error")                         \
  ERROR(cudaErrorCudartUnloading, 4, "driver shutting down")                             \
  ERROR(cudaErrorInvalidConfiguration, 9, "invalid configuration argument")              \
  ERROR(cudaErrorInvalidDevicePointer, 17, "invalid device pointer")                     \
  ERROR(cudaErrorInvalidMemcpyDirection, 21, "invalid copy direction for memcpy")        \
  ERROR(cudaErrorStubLibrary, 34, "CUDA driver is a stub library")                       \
  ERROR(cudaErrorInsufficientDriver, 35,                                                 \
        "CUDA driver version is insufficient for CUDA runtime version")                  \
  ERROR(cudaErrorDevicesUnavailable, 46, "CUDA-capable device(s) is/are busy or unavailable") \
  ERROR(cudaErrorInvalidDeviceFunction, 98, "invalid device function")                   \
  ERROR(cudaErrorNoDevice, 100, "no CUDA-capable device is detected")                    \
  ERROR(cudaErrorInvalidDevice, 101, "invalid device ordinal")                           \
  ERROR(cudaErrorInvalidKernelImage, 200, "device kernel image is invalid")              \
  ERROR(cudaErrorNoKernelImageForDevice, 209,                                            \
        "no kernel image is available for execution on the device")                      \
  ERROR(cudaErrorECCUncorrectable, 214, "uncorrectable ECC error encountered")           \
  ERROR(cudaErrorInvalidPtx, 218, "a PTX JIT compilation failed")                        \
  ERROR(cudaErrorUnsupportedPtxVersion, 222,                                             \
        "the provided PTX was compiled with an unsupported toolchain.")                  \
  ERROR(cudaErrorOperatingSystem, 304, "OS call failed or operation not supported on this OS") \
  ERROR(cudaErrorInvalidResourceHandle, 400, "invalid resource handle")                  \
  ERROR(cudaErrorIllegalState, 401, "the operation cannot be performed in the present state") \
  ERROR(cudaErrorNotReady, 600, "device not ready")                                      \
  ERROR(cudaErrorIllegalAddress, 700, "an illegal memory access was encountered")        \
  ERROR(cudaErrorLaunchOutOfResources, 701, "too many resources requested for launch")   \
  ERROR(cudaErrorLaunchTimeout, 702, "the launch timed out and was terminated")          \
  ERROR(cudaErrorContextIsDestroyed, 709, "context is destroyed")                        \
  ERROR(cudaErrorAssert, 710, "device-side assert triggered")                            \
  ERROR(cudaErrorHardwareStackError, 714, "hardware stack error")                        \
  ERROR(cudaErrorIllegalInstruction, 715, "an illegal instruction was encountered")      \
  ERROR(cudaErrorMisalignedAddress, 716, "misaligned address")                           \
  ERROR(cudaErrorInvalidAddressSpace, 717,                                               \
        "operation not supported on global/shared address space")                        \
  ERROR(cudaErrorInvalidPc, 718, "invalid program counter")                              \
  ERROR(cudaErrorLaunchFailure, 719, "unspecified launch failure")                       \
  ERROR(cudaErrorCooperativeLaunchTooLarge, 720, "too many blocks in cooperative launch")     \
  ERROR(cudaErrorNotPermitted, 800, "operation not permitted")                           \
  ERROR(cudaErrorNotSupported, 801, "operation not supported")                           \
  ERROR(cudaErrorSystemNotReady, 802, "system not yet initialized")                      \
  ERROR(cudaErrorSystemDriverMismatch, 803,                                              \
        "system has unsupported display driver / cuda driver combination")               \
  ERROR(cudaErrorStreamCaptureUnsupported, 900, "operation not permitted when stream is capturing") \
  ERROR(cudaErrorStreamCaptureInvalidated, 901,                                          \
        "operation failed due to a previous error during capture")                       \
  ERROR(cudaErrorStreamCaptureMerge, 902, "operation would result in a merge of separate capture sequences") \
  ERROR(cudaErrorStreamCaptureUnmatched, 903, "capture was not ended in the same stream as it began") \
  ERROR(cudaErrorStreamCaptureUnjoined, 904,                                             \
        "capturing stream has unjoined work")                                            \
  ERROR(cudaErrorStreamCaptureIsolation, 905,                                            \
        "dependency created on uncaptured work in another stream")                       \
  ERROR(cudaErrorStreamCaptureImplicit, 906, "operation would make the legacy stream depend on a capturing blocking stream") \
  ERROR(cudaErrorCapturedEvent, 907,                                                     \
        "operation not permitted on an event last recorded in a capturing stream")       \
  ERROR(cudaErrorStreamCaptureWrongThread, 908,                                          \
        "attempt to terminate a thread-local capture sequence from another thread")      \
  ERROR(cudaErrorUnknown, 999, "unknown error")

#define GRADCLIP_CUDA_ERROR_CODE(name, code, text) name = code,
enum cudaError { GRADCLIP_CUDA_ERRORS(GRADCLIP_CUDA_ERROR_CODE) };
#undef GRADCLIP_CUDA_ERROR_CODE
using cudaError_t = cudaError;
