// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.stream.Collectors;

/** What {@code gradclip rules} shows. */
final class RulesReport {
    private RulesReport() {}

    /** Three lines a rule: side by side, formula, parameters and source would be wider than a terminal. */
    static void table(Terminal terminal) {
        Table table = new Table(2, "rule", "formula; parameters; source (g: gradient, n: its norm)");
        for (RuleEntry rule : Rules.ALL) {
            table.add(List.of(rule.name(), rule.formula()));
            table.add(List.of("", parameters(rule)));
            table.add(List.of("", rule.source()));
        }
        List<String> lines = table.lines();
        PrintStream out = terminal.out();
        out.println(terminal.bold(lines.get(0)));
        lines.subList(1, lines.size()).forEach(out::println);
    }

    private static String parameters(RuleEntry rule) {
        return rule.parameters().stream()
                .map(p -> rule.required().contains(p) ? p.word() : p.word() + "=" + rule.defaultOf(p))
                .collect(Collectors.joining(", "));
    }

    static void details(Terminal terminal, RuleEntry rule) {
        PrintStream out = terminal.out();
        out.println(terminal.bold(rule.name()) + ": " + rule.formula());
        out.println("g: gradient, n: its norm. " + rule.source());
        Table table = new Table(3, "parameter", "default", "meaning");
        for (RuleParameter parameter : rule.parameters()) {
            boolean needed = rule.required().contains(parameter);
            table.add(List.of(parameter.word(), needed ? "needed" : rule.defaultOf(parameter), parameter.meaning()));
        }
        table.lines().forEach(out::println);
        out.println("  " + example(rule));
    }

    static String example(RuleEntry rule) {
        boolean needsWeights = ChosenRule.needsParameters(rule.exampleRule().rule());
        return "gradclip clip grads.safetensors -o clipped.safetensors " + rule.usage()
                + (needsWeights ? " --parameters model.safetensors" : "");
    }

    static void json(Terminal terminal, List<RuleEntry> rules) throws IOException {
        try (JsonReport report = new JsonReport(terminal.out())) {
            JsonGenerator json = report.generator();
            json.writeStartObject();
            json.writeArrayFieldStart("rules");
            for (RuleEntry rule : rules) json(json, rule);
            json.writeEndArray();
            json.writeEndObject();
        }
    }

    private static void json(JsonGenerator json, RuleEntry rule) throws IOException {
        json.writeStartObject();
        json.writeStringField("name", rule.name());
        json.writeStringField("formula", rule.formula());
        json.writeStringField("source", rule.source());
        json.writeArrayFieldStart("parameters");
        for (RuleParameter parameter : rule.parameters()) {
            json.writeStartObject();
            json.writeStringField("name", parameter.word());
            if (rule.required().contains(parameter)) json.writeNullField("default");
            else json.writeStringField("default", rule.defaultOf(parameter));
            json.writeStringField("meaning", parameter.meaning());
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeStringField("example", example(rule));
        json.writeEndObject();
    }
}
