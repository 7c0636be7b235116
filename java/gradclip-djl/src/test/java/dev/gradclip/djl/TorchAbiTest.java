// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.djl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtNDArray;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** LibTorch's own C functions on arrays of DJL: the way to gradients on a GPU, tried on the CPU. */
class TorchAbiTest {
    private final NDManager manager = NDManager.newBaseManager("PyTorch");

    @AfterEach
    void close() {
        manager.close();
    }

    private static PtNDArray torch(NDArray array) {
        return (PtNDArray) array;
    }

    @Test
    void theAddressIsThatOfTheElements() {
        for (DataType type : new DataType[] {DataType.FLOAT32, DataType.FLOAT64, DataType.FLOAT16}) {
            PtNDArray array = torch(manager.ones(new Shape(3, 5)).toType(type, true));
            Pointer direct = Native.getDirectBufferPointer(array.toByteBuffer(true));
            assertEquals(Pointer.nativeValue(direct), TorchAbi.address(array), type::toString);
        }
    }

    @Test
    void aViewBeginsWhereItsFirstElementIs() {
        PtNDArray whole = torch(manager.arange(12f).reshape(3, 4));
        assertEquals(TorchAbi.address(whole) + 16, TorchAbi.address(torch(whole.get("1:"))));
    }

    @Test
    void whatIsContiguous() {
        PtNDArray array = torch(manager.arange(24f).reshape(2, 3, 4));
        assertTrue(TorchAbi.isContiguous(array));
        assertTrue(TorchAbi.isContiguous(torch(array.get("1:"))), "a row");
        assertFalse(TorchAbi.isContiguous(torch(array.transpose(1, 0, 2))));
        assertFalse(TorchAbi.isContiguous(torch(array.get(":, 1:"))));
        assertTrue(TorchAbi.isContiguous(torch(manager.ones(new Shape(1, 5)).transpose())), "one column");
        assertTrue(TorchAbi.isContiguous(torch(manager.create(2f))), "a scalar");
        assertTrue(TorchAbi.isContiguous(torch(manager.zeros(new Shape(0, 3)))), "empty");
    }

    @Test
    void aViewWithGapsIsRefusedByName() {
        PtNDArray gaps = torch(manager.ones(new Shape(4, 4)).get(":, 1:"));
        String said = String.valueOf(assertThrows(
                        IllegalArgumentException.class,
                        () -> DjlGradients.requireContiguous("the gradient of fc.weight", gaps))
                .getMessage());
        assertTrue(said.startsWith("the gradient of fc.weight is not contiguous"), said);
    }
}
