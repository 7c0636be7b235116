// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.dl4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** Arrays of each type and layout. */
class Nd4jBuffersTest {
    private static void clip(INDArray array, double maxNorm) {
        try (GradientClipper clipper = GradientClipper.of(Nd4jBuffers.wrap(array))) {
            clipper.clipByGlobalNorm(maxNorm);
        }
    }

    private static String refusal(INDArray array) {
        return String.valueOf(assertThrows(IllegalArgumentException.class, () -> Nd4jBuffers.wrap(array))
                .getMessage());
    }

    @Test
    void theMemoryIsTheArraysOwn() {
        INDArray array = Nd4j.zeros(DataType.FLOAT, 100);
        HostBuffer buffer = Nd4jBuffers.wrap(array);
        try (Pointer ours = new Pointer(buffer.memory().get(0))) {
            assertEquals(array.data().addressPointer().address(), ours.address());
        }
        try (BytePointer theirs = new BytePointer(array.data().addressPointer())) {
            assertEquals(array.data().pointer().address(), theirs.address());
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DataType.class,
            names = {"DOUBLE", "FLOAT", "HALF", "BFLOAT16"})
    void eachType(DataType type) {
        INDArray array = Nd4j.ones(DataType.FLOAT, 100).mul(2).castTo(type);
        clip(array, 10);
        assertEquals(1, array.getDouble(0), .01);
        assertEquals(1, array.getDouble(99), .01);
    }

    @Test
    void otherTypesAreRefused() {
        assertTrue(refusal(Nd4j.ones(DataType.INT32, 3)).contains("elements of INT"));
        assertTrue(refusal(Nd4j.create(new boolean[] {true})).contains("elements of BOOL"));
    }

    @Test
    void aViewIsClippedWhereItLiesAndNoFurther() {
        INDArray all = Nd4j.ones(DataType.FLOAT, 30);
        clip(all.get(NDArrayIndex.interval(10, 14)), 1);
        float[] expected = new float[30];
        for (int i = 0; i < 30; i++) expected[i] = i >= 10 && i < 14 ? .5f : 1;
        assertArrayEquals(expected, all.toFloatVector(), 1e-6f);
    }

    @Test
    void anyOrderOfDimensionsWithoutGaps() {
        INDArray fortran = Nd4j.ones(DataType.FLOAT, 16).reshape('f', 2, 8);
        clip(fortran, 1);
        assertEquals(4, fortran.sumNumber().doubleValue(), 1e-5);
        INDArray permuted = Nd4j.ones(DataType.FLOAT, 2, 2, 4).permute(2, 0, 1);
        clip(permuted, 1);
        assertEquals(4, permuted.sumNumber().doubleValue(), 1e-5);
        INDArray rows = Nd4j.ones(DataType.FLOAT, 4, 4).get(NDArrayIndex.interval(1, 3), NDArrayIndex.all());
        clip(rows, Math.sqrt(2));
        assertEquals(4, rows.sumNumber().doubleValue(), 1e-5);
    }

    @Test
    void gapsAndRepetitionsAreRefused() {
        INDArray square = Nd4j.ones(DataType.FLOAT, 4, 4);
        String column = refusal(square.getColumn(1));
        assertTrue(column.contains("shape [4], strides [4]"), column);
        assertTrue(refusal(square.get(NDArrayIndex.all(), NDArrayIndex.interval(0, 2)))
                .contains("gaps"));
        assertEquals(16, square.sumNumber().doubleValue(), "untouched");
    }

    @Test
    void scalarsAndEmptyArrays() {
        INDArray scalar = Nd4j.scalar(3f);
        clip(scalar, 1);
        assertEquals(1, scalar.getDouble(0), 1e-5);
        assertEquals(0, Nd4jBuffers.wrap(Nd4j.empty(DataType.FLOAT)).length());
    }

    @Test
    void aClosedArrayIsRefused() {
        INDArray array = Nd4j.ones(DataType.FLOAT, 3);
        array.close();
        assertTrue(refusal(array).contains("closed"));
    }
}
