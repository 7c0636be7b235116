// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.gradclip.Backend;
import org.junit.jupiter.api.Test;

/** The check that stands before every time. */
class GradientsTest {
    private static final int[] LENGTHS = {5000, 7};
    private final Gradients gradients = new Gradients(LENGTHS);
    private final double norm = gradients.norm();

    private String fault(Contender contender, DuelCase done, DuelCase asked, float spoilt) {
        contender.bind(LENGTHS);
        gradients.writeTo(contender);
        double found = done.run(contender, norm);
        if (!Float.isFinite(spoilt)) contender.gradient(1).put(3, spoilt);
        return gradients.fault(contender, asked, norm, done == asked ? found : Double.NaN);
    }

    @Test
    void whatIsRightPassesAndWhatIsNotDoneOrNaNDoesNot() {
        for (DuelCase what : DuelCase.values()) {
            for (boolean loop : new boolean[] {true, false}) {
                try (Contender contender =
                        loop ? new LoopContender() : new GradclipContender(Backend.JAVA, false, 1, "")) {
                    assertEquals("", fault(contender, what, what, 0), what::toString);
                    assertNotEquals("", fault(contender, what, what, Float.NaN), what::toString);
                    boolean leaves = what == DuelCase.NORM || what == DuelCase.DOES_NOT_BITE;
                    if (!leaves) assertNotEquals("", fault(contender, DuelCase.NORM, what, 0), what::toString);
                }
            }
        }
    }
}
