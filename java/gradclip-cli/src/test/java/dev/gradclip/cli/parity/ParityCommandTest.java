// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.rules.RuleSpec;
import dev.gradclip.cli.rules.Rules;
import dev.gradclip.cli.shell.ExitCode;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** {@code gradclip parity}. */
class ParityCommandTest {
    @Test
    void everyRuleAgreesHere() {
        String text = Outcome.of("parity", "--quick").expect(ExitCode.DONE).out();
        for (RuleSpec rule : Rules.ALL) assertTrue(text.contains(rule.name()) || !Backend.NATIVE.isAvailable(), text);
        assertTrue(text.contains("the bits of plain Java") || text.contains("nothing to compare"), text);
        if (!Backend.CUDA.isAvailable()) assertTrue(text.contains("cuda is not compared: "), text);
    }

    @Test
    void asJson() {
        Map<String, Object> json = Outcome.of("parity", "--quick", "--rule", "value", "--seed", "7", "--format", "json")
                .expect(ExitCode.DONE)
                .json();
        assertEquals(true, json.get("agrees"));
        assertEquals(7, Json.number(json, "seed"));
        assertEquals("java", Json.string(json, "reference"));
        assertEquals(List.of(), json.get("differences"));
        assertEquals(
                List.of("version", "seed", "reference", "simd", "agrees", "backends", "rules", "differences"),
                List.copyOf(json.keySet()));
        if (Backend.NATIVE.isAvailable()) {
            assertTrue(String.valueOf(json.get("backends")).contains("native=compared"), json::toString);
            assertTrue(String.valueOf(json.get("rules")).contains("different=0"), json::toString);
        }
    }

    @Test
    void whatIsNotThereIsRefused() {
        Outcome.of("parity", "--rule", "soft").refused(ExitCode.USAGE, "soft", "the rules are");
        if (!Backend.CUDA.isAvailable()) {
            Outcome.of("parity", "--backend", "cuda").refused(ExitCode.FAILURE, "--backend cuda is not available");
        }
    }
}
