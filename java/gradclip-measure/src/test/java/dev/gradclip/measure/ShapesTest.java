// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.DType;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ShapesTest {
    private static final long GIB = 1 << 30;

    private static void assertShape(Shapes one, int tensors, long elements) {
        Shape shape = one.of(DType.FLOAT32);
        assertEquals(one.label(), shape.name());
        assertEquals(tensors, shape.tensors().size(), shape::name);
        assertEquals(elements, shape.elements(), shape::name);
    }

    /** The sizes are as published, counted by the models' own libraries. */
    @Test
    void realSizes() {
        assertShape(Shapes.RESNET50, 161, 25_557_032);
        assertShape(Shapes.GPT2, 148, 124_439_808);
        assertShape(Shapes.LLAMA8B, 291, 8_030_261_248L);
        assertShape(Shapes.NEMO_MIXED, 500, 225_181_696);
        assertShape(Shapes.NEMO_EMBEDDING, 1, 1_536_066_816);
        assertShape(Shapes.NEMO_MATRICES, 500, 10_260_000_000L);
    }

    @Test
    void types() {
        assertEquals("float16", Shapes.LLAMA8B.of(DType.FLOAT16).type());
        assertEquals("mixed", Shapes.NEMO_MIXED.of(DType.FLOAT32).type());
        assertEquals("bfloat16", Shapes.NEMO_EMBEDDING.of(DType.FLOAT32).type());
        long floats = Shapes.NEMO_MIXED.of(DType.FLOAT32).tensors().stream()
                .filter(tensor -> tensor.dtype() == DType.FLOAT32)
                .count();
        assertEquals(100, floats);
        assertTrue(Shapes.NEMO_MATRICES.of(DType.FLOAT32).isHalves());
        assertTrue(!Shapes.NEMO_MIXED.of(DType.FLOAT32).isHalves());
    }

    @Test
    void wholeLayersOfALlama() {
        long layer = 218_112_000;
        Shape one = Shapes.LLAMA8B.of(DType.FLOAT32, GIB);
        assertEquals(9, one.tensors().size());
        assertEquals("llama8b, 218112000 of 8030261248 elements", one.name());
        assertEquals(2 * layer, Shapes.LLAMA8B.of(DType.BFLOAT16, GIB).elements());
        assertEquals(
                3 * layer, Shapes.LLAMA8B.of(DType.FLOAT32, 4 * layer * 4 - 1).elements());
        // All layers, but not the embedding and what follows them.
        Shape nearly = Shapes.LLAMA8B.of(DType.FLOAT32, 4 * 8_030_261_248L - 1);
        assertEquals(32 * layer, nearly.elements());
        assertEquals(
                8_030_261_248L,
                Shapes.LLAMA8B.of(DType.FLOAT32, 4 * 8_030_261_248L).elements());
        // Less than a layer is a layer scaled down.
        Shape little = Shapes.LLAMA8B.of(DType.FLOAT32, 1 << 20);
        assertEquals(9, little.tensors().size());
        assertTrue(little.bytes() <= 1 << 20 && little.bytes() > 1 << 19, () -> little.bytes() + " bytes");
        assertEquals("llama8b, " + little.elements() + " of 8030261248 elements", little.name());
    }

    @ParameterizedTest
    @EnumSource(Shapes.class)
    void whatFitsIsLeftAsItIsAndWhatDoesNotIsScaledAndSaysSo(Shapes one) {
        Shape real = one.of(DType.FLOAT32);
        assertEquals(real, one.of(DType.FLOAT32, real.bytes()));
        assertSame(real, real.within(real.bytes()));
        for (long limit : new long[] {real.bytes() - 1, GIB / 4, 1 << 16, 1}) {
            if (limit >= real.bytes()) continue;
            Shape scaled = one.of(DType.FLOAT32, limit);
            assertTrue(scaled.bytes() <= limit, () -> scaled.bytes() + " bytes of " + scaled.name());
            assertEquals(
                    one.label() + ", " + scaled.elements() + " of " + real.elements() + " elements", scaled.name());
        }
        assertThrows(IllegalArgumentException.class, () -> real.within(0));
    }

    @Test
    void mixedLengthsArePositiveHoweverFew() {
        for (long elements : new long[] {0, 1, 35_872, 1_000_000}) {
            List<Shape.Tensor> tensors = Shapes.mixed(elements);
            assertEquals(500, tensors.size());
            assertTrue(tensors.stream().allMatch(tensor -> tensor.length() > 0), () -> elements + " elements");
        }
    }

    @Test
    void byName() {
        assertEquals(Shape.equal(DType.FLOAT64, 500, 1024), Shapes.named("500x1024", DType.FLOAT64, 1));
        assertEquals(0, Shapes.named("0x5", DType.FLOAT32, 1).elements());
        assertEquals(Shapes.GPT2.of(DType.FLOAT16), Shapes.named("gpt2", DType.FLOAT16, GIB));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "x", "5", "5x", "x5", "-1x5", "5x5x5", "gpt3", "1x9999999999999999999", "9999999999x1"})
    void otherNamesAreRefused(String name) {
        Exception refused = assertThrows(IllegalArgumentException.class, () -> Shapes.named(name, DType.FLOAT32, GIB));
        String said = String.valueOf(refused.getMessage());
        assertTrue(said.contains("'" + name + "'") && said.contains("llama8b"), said);
    }
}
