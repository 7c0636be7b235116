// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.djl;

import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.LibUtils;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.LongByReference;
import com.sun.jna.ptr.PointerByReference;
import java.nio.file.Path;

/**
 * The facts of a tensor that LibTorch tells and DJL does not: through the C functions that it exports for compiled
 * models ({@code aoti_torch_…}), of the very library that the engine has loaded.
 *
 * <p>The functions were called on the CPU, with LibTorch 2.7.1; {@link #currentStream} was not checked here, for want
 * of a GPU.
 */
final class TorchAbi {
    private TorchAbi() {}

    /** Loaded already, so that this opens it anew under the same handle. */
    private static final class Cpu {
        static final NativeLibrary LIBRARY = library("libtorch_cpu.so");
    }

    private static final class Cuda {
        static final NativeLibrary LIBRARY = library("libtorch_cuda.so");
    }

    private static NativeLibrary library(String file) {
        return NativeLibrary.getInstance(
                Path.of(LibUtils.getLibtorchPath(), file).toString());
    }

    /** The address of the first element, on whichever device. */
    static long address(PtNDArray array) {
        LongByReference result = new LongByReference();
        call("aoti_torch_get_data_ptr", array, result);
        return result.getValue();
    }

    /** Returns true if elements lie one after the other in the order of their indices. */
    static boolean isContiguous(PtNDArray array) {
        long[] shape = array.getShape().getShape();
        PointerByReference result = new PointerByReference();
        call("aoti_torch_get_strides", array, result);
        long[] strides = shape.length == 0 ? shape : result.getValue().getLongArray(0, shape.length);
        long expected = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            // The stride of a single index is never gone by.
            if (shape[i] > 1 && strides[i] != expected) return false;
            expected *= shape[i];
        }
        return true;
    }

    /** The stream that LibTorch gives this thread's work on a device to. */
    static long currentStream(int device) {
        LongByReference result = new LongByReference();
        String name = "aoti_torch_get_current_cuda_stream";
        check(name, Cuda.LIBRARY.getFunction(name).invokeInt(new Object[] {device, result}));
        return result.getValue();
    }

    private static void call(String name, PtNDArray array, Object result) {
        Object[] arguments = {new Pointer(array.getHandle()), result};
        check(name, Cpu.LIBRARY.getFunction(name).invokeInt(arguments));
    }

    private static void check(String name, int error) {
        if (error != 0) throw new IllegalStateException(name + " of LibTorch failed with " + error);
    }
}
