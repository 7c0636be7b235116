// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.cli.rules.RuleSpec;
import dev.gradclip.cli.rules.Rules;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Tests that {@code gradclip parity} finds a difference, however little it is. */
class ParityTest {
    private static List<ParityCase> cases(String... rules) {
        List<ParityCase> cases = new ArrayList<>();
        for (String rule : rules) cases.addAll(ParityCase.of(Rules.find(rule), 1, true));
        return cases;
    }

    private static Parity compared(UnaryOperator<ParitySide.Outcome> change, String... rules) {
        ParitySide java = ParitySide.of(Backend.JAVA);
        ParitySide wrong = new ParitySide("wrong", one -> change.apply(java.clip(one)));
        Parity parity = new Parity(java, List.of(wrong));
        parity.run(cases(rules), () -> {});
        return parity;
    }

    private static ParitySide.Outcome with(ParitySide.Outcome is, double norm, double coefficient, String figures) {
        return new ParitySide.Outcome(is.gradients(), norm, coefficient, figures);
    }

    @Test
    void theSameAgrees() {
        for (RuleSpec rule : Rules.ALL) {
            Parity parity = compared(same -> same, rule.name());
            assertTrue(parity.agrees(), () -> parity.differences().toString());
            assertEquals(0, parity.tally(rule.name(), "wrong").different());
        }
    }

    @Test
    void theLastBitOfOneElementIsFound() {
        Parity parity = compared(
                is -> {
                    ParityCase.Tensor tensor = is.gradients().get(4);
                    if (tensor.elements() instanceof short[] halves) halves[2000] ^= 1;
                    return is;
                },
                "global-norm");
        assertFalse(parity.agrees());
        assertTrue(parity.differences().get(0).contains("tensor4[2000] = 0x"), parity.differences()::toString);
    }

    @Test
    void theLastBitOfTheNormAndOfTheCoefficientAreFound() {
        assertFalse(compared(is -> with(is, Math.nextUp(is.norm()), is.coefficient(), is.figures()), "global-norm")
                .agrees());
        assertFalse(compared(is -> with(is, is.norm(), Math.nextDown(is.coefficient()), is.figures()), "normalize")
                .agrees());
    }

    @Test
    void whatTheResultSaysIsFound() {
        Parity parity = compared(is -> with(is, is.norm(), is.coefficient(), is.figures() + "1"), "value");
        assertFalse(parity.agrees());
        assertEquals(5, parity.differences().size(), "the first five alone");
        Parity.Tally tally = parity.tally("value", "wrong");
        assertEquals(tally.cases(), tally.different());
    }

    @Test
    void powerNormsAreHeldTo1e12() {
        List<ParityCase> power =
                cases("global-norm").stream().filter(ParityCase::isPower).toList();
        assertEquals(1, power.size());
        for (double[] factorAndAgrees : new double[][] {{1 + 1e-13, 1}, {1 + 1e-11, 0}}) {
            ParitySide java = ParitySide.of(Backend.JAVA);
            ParitySide near = new ParitySide("near", one -> {
                ParitySide.Outcome is = java.clip(one);
                return with(is, is.norm() * factorAndAgrees[0], is.coefficient(), is.figures());
            });
            Parity parity = new Parity(java, List.of(near));
            parity.run(power, () -> {});
            assertEquals(factorAndAgrees[1] == 1, parity.agrees());
        }
    }
}
