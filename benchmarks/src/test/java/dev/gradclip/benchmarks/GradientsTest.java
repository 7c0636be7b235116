// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Shapes;
import java.nio.Buffer;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The check that stands before every time. */
class GradientsTest {
    private static final List<Long> LENGTHS = List.of(5000L, 7L);

    /** Makes the fourth element of the second tensor NaN. */
    private static void spoil(Contender contender) {
        Buffer gradient = contender.gradient(1);
        if (gradient instanceof FloatBuffer floats) floats.put(3, Float.NaN);
        else if (gradient instanceof DoubleBuffer doubles) doubles.put(3, Double.NaN);
        else ((ShortBuffer) gradient).put(3, (short) 0x7fff);
    }

    private static String fault(Contender contender, Shape shape, DuelCase done, DuelCase asked, boolean spoilt) {
        contender.bind(shape);
        Gradients gradients = new Gradients(shape);
        gradients.writeTo(contender);
        double found = done.run(contender, gradients, 0);
        if (spoilt) spoil(contender);
        return gradients.fault(contender, asked, done == asked ? found : Double.NaN);
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void whatIsRightPassesAndWhatIsNotDoneOrNaNDoesNot(DType dtype) {
        Shape shape = Shape.of("two", dtype, LENGTHS);
        List<Contender> contenders = new ArrayList<>();
        contenders.add(new GradclipContender(Backend.JAVA, false, 1, ""));
        contenders.add(new GradclipContender(Backend.JAVA, true, 1, ""));
        if (dtype == DType.FLOAT32) contenders.add(new LoopContender());
        for (DuelCase what : DuelCase.values()) {
            for (Contender contender : contenders) {
                assertEquals("", fault(contender, shape, what, what, false), what::toString);
                assertNotEquals("", fault(contender, shape, what, what, true), what::toString);
                if (what.changes())
                    assertNotEquals("", fault(contender, shape, DuelCase.NORM, what, false), what::toString);
            }
        }
        assertNotEquals("", fault(contenders.get(0), shape, DuelCase.BITES, DuelCase.PER_TENSOR, false));
        assertNotEquals("", fault(contenders.get(0), shape, DuelCase.PER_TENSOR, DuelCase.BITES, false));
        contenders.forEach(Contender::close);
    }

    @Test
    void mixedTypes() {
        Shape shape = new Shape(
                "mixed", List.of(new Shape.Tensor(DType.BFLOAT16, 900), new Shape.Tensor(DType.FLOAT32, 100)));
        try (Contender contender = new GradclipContender(Backend.JAVA, false, 1, "")) {
            for (DuelCase what : DuelCase.values()) assertEquals("", fault(contender, shape, what, what, false));
        }
    }

    @Test
    void norms() {
        Gradients gradients = new Gradients(Shape.of("two", DType.FLOAT32, LENGTHS));
        assertEquals(gradients.leastNorm(), gradients.norm(1));
        assertEquals(gradients.norm(), Math.hypot(gradients.norm(0), gradients.norm(1)), 1e-12);
        // 5000 values spread evenly over [-1, 1).
        assertEquals(Math.sqrt(5000 / 3.0), gradients.norm(0), 1);
    }

    /** A contender says what it is not made for. */
    @Test
    void refusals() {
        Shape halves = Shape.of("halves", DType.FLOAT16, LENGTHS);
        try (Contender loop = new LoopContender()) {
            String said = String.valueOf(assertThrows(UnsupportedOperationException.class, () -> loop.bind(halves))
                    .getMessage());
            assertTrue(said.contains(loop.name()) && said.contains("float16"), said);
        }
    }

    @Test
    void aTensorThatIsTooLongIsNamed() {
        Shape shape = Shapes.named("1x300000000", DType.FLOAT64, 0);
        String said = String.valueOf(assertThrows(IllegalArgumentException.class, () -> new Gradients(shape))
                .getMessage());
        assertTrue(said.contains("1x300000000") && said.contains("2400000000"), said);
    }

    /** Its norm is 0, and no threshold. */
    @Test
    void anEmptyTensorIsNotTheLeast() {
        Shape shape = Shape.of("two", DType.FLOAT32, List.of(10L, 0L));
        Gradients gradients = new Gradients(shape);
        assertEquals(gradients.norm(0), gradients.leastNorm());
        try (Contender loop = new LoopContender()) {
            assertEquals("", fault(loop, shape, DuelCase.PER_TENSOR, DuelCase.PER_TENSOR, false));
        }
    }
}
