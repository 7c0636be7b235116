// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.HostBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class GradientSetTest {
    /** Values uniform in [-1, 1) have mean 0 and mean square 1/3, and are the same wherever they are. */
    @ParameterizedTest
    @EnumSource(DType.class)
    void ordinaryValues(DType dtype) {
        Shape shape = Shape.equal(dtype, 2, 10_000);
        try (GradientSet direct = new GradientSet(shape, Backend.JAVA);
                GradientSet heap = GradientSet.onHeap(shape)) {
            direct.ordinary();
            heap.ordinary();
            double sum = 0;
            double squares = 0;
            int repeated = 0;
            for (int tensor = 0; tensor < 2; tensor++) {
                for (int i = 0; i < 10_000; i++) {
                    double x = Elements.get(direct.memory(tensor), dtype, i);
                    assertEquals(x, Elements.get(heap.memory(tensor), dtype, i));
                    assertTrue(x >= -1 && x < 1, () -> "value " + x);
                    sum += x;
                    squares += x * x;
                    if (x == Elements.get(direct.memory(1 - tensor), dtype, i)) repeated++;
                }
            }
            assertEquals(0, sum / 20_000, 0.02);
            assertEquals(1.0 / 3, squares / 20_000, 0.01);
            assertTrue(repeated < 1000, "the second tensor repeats the first");
            assertEquals(!direct.memory(0).isDirect(), heap.memory(0).isDirect());
            assertTrue(((HostBuffer) heap.buffers().get(0)).memory().get(0).hasArray());
        }
    }

    @Test
    void copies() {
        Shape shape = Shape.equal(DType.BFLOAT16, 1, 100);
        try (GradientSet from = new GradientSet(shape, Backend.JAVA);
                GradientSet to = GradientSet.onHeap(shape)) {
            from.ordinary();
            Elements.copy(from.memory(0), to.memory(0));
            assertNotEquals(0, Elements.get(from.memory(0), DType.BFLOAT16, 99));
            for (int i = 0; i < 100; i++) {
                assertEquals(
                        Elements.get(from.memory(0), DType.BFLOAT16, i), Elements.get(to.memory(0), DType.BFLOAT16, i));
            }
        }
    }
}
