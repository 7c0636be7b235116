// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Norm types as values and as text. */
class NormTypeTest {
    @Test
    void theConstantsAreFoundByNumberAndText() {
        assertSame(NormType.L1, NormType.p(1));
        assertSame(NormType.L2, NormType.p(2));
        assertSame(NormType.INF, NormType.p(Double.POSITIVE_INFINITY));
        assertSame(NormType.L2, NormType.parse(" 2.0 "));
        for (String text : List.of("inf", "INF", "Infinity")) assertSame(NormType.INF, NormType.parse(text));
    }

    @Test
    void textReadsBackToTheSame() {
        for (double p : new double[] {0.5, 1, 1.5, 2, 3, 1e15, 1e300, Double.MIN_VALUE, Double.POSITIVE_INFINITY}) {
            NormType type = NormType.p(p);
            assertEquals(type, NormType.parse(type.toString()));
            assertEquals(type.hashCode(), NormType.parse(type.toString()).hashCode());
            assertEquals(p, type.p());
        }
        assertEquals("3", NormType.p(3).toString());
        assertEquals("0.5", NormType.p(0.5).toString());
        assertEquals("inf", NormType.INF.toString());
        assertNotEquals(NormType.p(3), NormType.p(4));
    }

    @Test
    void whatIsNoNormIsRefused() {
        for (double p : new double[] {0, -0.0, -1, Double.NaN, Double.NEGATIVE_INFINITY}) {
            assertThrows(IllegalArgumentException.class, () -> NormType.p(p));
        }
        for (String text : List.of("", "two", "-2", "nan", "0", "-inf", "1,5")) {
            IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> NormType.parse(text));
            assertTrue(String.valueOf(e.getMessage()).contains("norm type"), e::getMessage);
        }
    }
}
