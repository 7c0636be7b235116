// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.NormRule;
import dev.gradclip.Scope;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.clip.RealGradientsTest;
import dev.gradclip.cli.shell.ExitCode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class RulesCommandTest {
    @TempDir
    Path folder;

    static Stream<String> names() {
        return Rules.ALL.stream().map(RuleSpec::name);
    }

    @ParameterizedTest
    @MethodSource("names")
    void theExampleWorks(String name) throws Exception {
        Path grads =
                Files.write(folder.resolve("grads.safetensors"), RealGradientsTest.resource("gpt-mixed.safetensors"));
        Files.copy(grads, folder.resolve("model.safetensors"));
        String text = Outcome.of("rules", name).expect(ExitCode.DONE).out();
        String example = text.substring(text.indexOf("gradclip clip "));
        String[] words = example.strip().split("[ \\\\\n]+", -1);
        Object[] arguments = Stream.of(words)
                .skip(1)
                .map(w -> w.endsWith(".safetensors") ? folder.resolve(w).toString() : w)
                .toArray();
        String said = Outcome.of(arguments).expect(ExitCode.DONE).out();
        assertTrue(said.contains(name + " ") || said.contains(name + ":"), said);
    }

    /** A default that is shown is the value of a rule that was not told one. */
    @Test
    void theTableHoldsAllThatIsTaken() {
        String text = Outcome.of("rules").expect(ExitCode.DONE).out().replaceAll("(?<=\\S)\n +", " ");
        for (RuleSpec rule : Rules.ALL) {
            assertTrue(text.contains(rule.formula()) && text.contains(rule.source()), text);
            assertEquals(rule.name(), nameOf(rule), "the name that the library gives it");
            for (RuleParameter parameter : rule.parameters()) assertTrue(text.contains(parameter.word()), text);
        }
        assertTrue(text.contains("max-norm, norm-type=2, convention=pytorch, epsilon=1e-6, inverse-scale=1"), text);
        assertTrue(text.contains("max-norm, scope=tensor, norm-type=2, convention=pytorch, epsilon=0"), text);
        assertTrue(text.contains("lambda, norm-type=2, epsilon=0.001, inverse-scale=1"), text);
        assertTrue(text.contains("max, min=-max, inverse-scale=1"), text);
    }

    @Test
    void thePageShowsTheTable() throws Exception {
        String page = Files.readString(Path.of("../../docs/cli.md"));
        assertTrue(page.contains("```\n" + Outcome.of("rules").out() + "```\n"), "docs/cli.md is older than the table");
    }

    private static String nameOf(RuleSpec rule) {
        var made = rule.exampleRule().rule();
        return made instanceof NormRule norm && norm.scope() == Scope.GROUP ? "" : made.name();
    }

    @Test
    void json() {
        List<Map<String, Object>> rules = Json.maps(
                Outcome.of("rules", "--format", "json").expect(ExitCode.DONE).json(), "rules");
        assertEquals(names().toList(), rules.stream().map(r -> r.get("name")).toList());
        Map<String, Object> one = Json.maps(
                        Outcome.of("rules", "adaptive", "--format", "json")
                                .expect(ExitCode.DONE)
                                .json(),
                        "rules")
                .get(0);
        assertEquals("adaptive", one.get("name"));
        assertEquals("null", Json.maps(one, "parameters").get(0).get("default"));
        assertEquals("0.001", Json.maps(one, "parameters").get(2).get("default"));
        assertTrue(Json.string(one, "example").endsWith("--parameters model.safetensors"));
    }

    @Test
    void unknown() {
        Outcome.of("rules", "clop").refused(ExitCode.USAGE, "there is no rule 'clop'; the rules are global-norm");
        Outcome.of("rules", "value", "adaptive").refused(ExitCode.USAGE, "adaptive");
    }
}
