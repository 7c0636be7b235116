// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class TemporalOrderTest {
    private static int symbol(float[] step) {
        int found = -1;
        for (int s = 0; s < step.length; s++) {
            if (step[s] == 0) continue;
            assertEquals(1, step[s]);
            assertEquals(-1, found, "two symbols at a time");
            found = s;
        }
        assertTrue(found >= 0, "no symbol");
        return found;
    }

    @Test
    void twoSymbolsTellTheClass() {
        for (int length : new int[] {10, 15, 30, 100}) {
            int tenth = length / 10;
            Set<Integer> labels = new HashSet<>();
            Set<Integer> places = new HashSet<>();
            for (Example example : new TemporalOrder(length, new Random(length)).batch(500)) {
                assertEquals(length, example.steps().length);
                int first = -1;
                int second = -1;
                for (int t = 0; t < length; t++) {
                    int symbol = symbol(example.steps()[t]);
                    if (symbol > 1) continue;
                    if (first < 0) {
                        first = symbol;
                        assertTrue(t >= tenth && t < 2 * tenth, "first at " + t + " of " + length);
                        places.add(t);
                    } else {
                        assertEquals(-1, second, "three of A and B");
                        second = symbol;
                        assertTrue(t >= length / 2 && t < length / 2 + tenth, "second at " + t + " of " + length);
                    }
                }
                assertEquals(2 * first + second, example.label());
                labels.add(example.label());
            }
            assertEquals(Set.of(0, 1, 2, 3), labels);
            assertEquals(tenth, places.size());
        }
    }

    @Test
    void oneSeedOneProblem() {
        List<Example> some = new TemporalOrder(20, new Random(7)).batch(50);
        List<Example> same = new TemporalOrder(20, new Random(7)).batch(50);
        List<Example> other = new TemporalOrder(20, new Random(8)).batch(50);
        assertEquals(labels(some), labels(same));
        assertTrue(!labels(some).equals(labels(other)));
    }

    private static List<Integer> labels(List<Example> examples) {
        return examples.stream().map(Example::label).toList();
    }

    @Test
    void tooShort() {
        IllegalArgumentException e =
                assertThrows(IllegalArgumentException.class, () -> new TemporalOrder(9, new Random(1)));
        assertTrue(String.valueOf(e.getMessage()).contains("10 or more"), e::toString);
    }
}
