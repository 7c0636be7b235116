// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.djl;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.util.Utils;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.LongByReference;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** LibTorch's own word on a tensor, through its exported C functions, past DJL. */
final class LibTorch {
    private LibTorch() {}

    private static final NativeLibrary LIBRARY = NativeLibrary.getInstance(path());

    private static String path() {
        String version = Engine.getEngine("PyTorch").getVersion();
        try (Stream<Path> files = Files.walk(Utils.getEngineCacheDir("pytorch"), 2)) {
            return files.filter(file -> file.endsWith("libtorch_cpu.so"))
                    .filter(file -> file.toString().contains(version))
                    .findFirst()
                    .orElseThrow()
                    .toString();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Where the elements are. */
    static long address(NDArray array) {
        LongByReference result = new LongByReference();
        int error = LIBRARY.getFunction("aoti_torch_get_data_ptr")
                .invokeInt(new Object[] {new Pointer(((PtNDArray) array).getHandle()), result});
        if (error != 0) throw new IllegalStateException("aoti_torch_get_data_ptr gave " + error);
        return result.getValue();
    }
}
