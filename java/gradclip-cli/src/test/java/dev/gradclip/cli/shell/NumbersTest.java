// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NumbersTest {
    @ParameterizedTest
    @CsvSource({
        "1,1",
        "-.5,-0.5",
        "1.,1",
        "+2e-3,0.002",
        "inf,Infinity",
        "-INF,-Infinity",
        "+Infinity,Infinity",
        "NaN,NaN"
    })
    void parses(String text, double value) {
        assertEquals(value, Numbers.parse(text));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " 1", "1f", "1d", "0x1p3", ".", "1e", "1,5", "--1"})
    void refuses(String text) {
        assertThrows(NumberFormatException.class, () -> Numbers.parse(text));
    }

    @ParameterizedTest
    @ValueSource(strings = {"1e400", "-1e400", "1.8e308", "1e99999999999", "1e-400", "-0.1e-330", "1e-99999999999"})
    void refusesWhatADoubleHasAsInfinityOrZero(String text) {
        NumberFormatException e = assertThrows(NumberFormatException.class, () -> Numbers.parse(text));
        assertTrue(String.valueOf(e.getMessage()).startsWith("'" + text + "' is "), e::toString);
    }

    @ParameterizedTest
    @ValueSource(strings = {"1.7976931348623157e308", "4.9e-324", "0e999", "-0.000", "0e-999", "+.0"})
    void takesTheLargestTheLeastAndZero(String text) {
        assertEquals(Double.parseDouble(text), Numbers.parse(text));
    }

    private static String json(double value) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonReport report = new JsonReport(out)) {
            report.put("x", value);
        }
        return out.toString(StandardCharsets.UTF_8);
    }

    @Test
    void jsonReadsBackToTheSameDouble() throws IOException {
        Random random = new Random(1);
        for (int i = 0; i < 20_000; i++) {
            double value = Double.longBitsToDouble(random.nextLong());
            if (!Double.isFinite(value)) continue;
            String text = json(value);
            assertEquals(value, Double.parseDouble(text.substring(5, text.length() - 2)));
        }
    }

    @Test
    void jsonIsShortest() throws IOException {
        assertEquals("{\"x\":0.1}\n", json(0.1));
        // Java 17's Double.toString writes 8.089999999999999E21, which is the same double.
        assertEquals("{\"x\":8.09E21}\n", json(Double.parseDouble("8.09E21")));
    }

    @Test
    void jsonHasNoNumbersBeyondTheFinite() throws IOException {
        assertEquals("{\"x\":\"nan\"}\n", json(Double.NaN));
        assertEquals("{\"x\":\"inf\"}\n", json(Double.POSITIVE_INFINITY));
        assertEquals("{\"x\":\"-inf\"}\n", json(Double.NEGATIVE_INFINITY));
    }

    @Test
    void briefForPeople() {
        assertEquals("0.33333", Numbers.brief(1 / 3.0));
        assertEquals("2.57e23", Numbers.brief(2.57e23));
        assertEquals("-7.1706e-13", Numbers.brief(-7.17063e-13));
        assertEquals("1e-10", Numbers.brief(1e-10));
        assertEquals("1e100", Numbers.brief(1e100));
        assertEquals("120", Numbers.brief(120));
        assertEquals("-5.1993e-10", Numbers.brief(-5.1993e-10));
        assertEquals("1e5", Numbers.brief(99999.9));
        assertEquals("5", Numbers.brief(5));
        assertEquals("0", Numbers.brief(0));
        assertEquals("nan", Numbers.brief(Double.NaN));
    }
}
