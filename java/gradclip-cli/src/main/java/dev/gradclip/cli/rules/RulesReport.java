// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Table;
import dev.gradclip.cli.shell.Terminal;
import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.stream.Collectors;

/** Prints the table of rules, or one of them. */
final class RulesReport {
    private static final int WIDTH = 80;

    private RulesReport() {}

    /** Prints all rules; formulas, parameters and sources side by side would be wider than a terminal. */
    static void table(Terminal terminal) {
        PrintStream out = terminal.out();
        out.println("g: gradient, n: its norm; a parameter without = is needed");
        for (RuleSpec rule : Rules.ALL) {
            out.println();
            out.println(terminal.bold(rule.name()));
            for (String text : List.of(rule.formula(), parameters(rule), rule.source())) wrapped(text, "    ", out);
        }
    }

    /** Prints a text, broken between words into lines no wider than a terminal. */
    private static void wrapped(String text, String indent, PrintStream out) {
        StringBuilder line = new StringBuilder(indent);
        for (String word : text.split(" ", -1)) {
            boolean first = line.length() == indent.length();
            if (!first && line.length() + 1 + word.length() > WIDTH) {
                out.println(line);
                line = new StringBuilder(indent).append(word);
            } else {
                line.append(first ? "" : " ").append(word);
            }
        }
        out.println(line);
    }

    private static String parameters(RuleSpec rule) {
        return rule.parameters().stream()
                .map(p -> rule.required().contains(p) ? p.word() : p.word() + "=" + rule.defaultOf(p))
                .collect(Collectors.joining(", "));
    }

    static void details(Terminal terminal, RuleSpec rule) {
        PrintStream out = terminal.out();
        out.println(terminal.bold(rule.name()));
        wrapped(rule.formula(), "    ", out);
        wrapped(rule.source(), "    ", out);
        out.println("g: gradient, n: its norm");
        Table table = new Table(3, "parameter", "default", "meaning");
        for (RuleParameter parameter : rule.parameters()) {
            boolean needed = rule.required().contains(parameter);
            table.add(List.of(parameter.word(), needed ? "needed" : rule.defaultOf(parameter), parameter.meaning()));
        }
        table.lines().forEach(out::println);
        out.println(example(rule, " \\\n    "));
    }

    /** Returns a command line, whose options come after the break. */
    private static String example(RuleSpec rule, String before) {
        boolean needsWeights = ChosenRule.needsParameters(rule.exampleRule().rule());
        return "gradclip clip grads.safetensors -o clipped.safetensors" + before + rule.usage()
                + (needsWeights ? " --parameters model.safetensors" : "");
    }

    static void json(Terminal terminal, List<RuleSpec> rules) throws IOException {
        try (JsonReport json = new JsonReport(terminal.out())) {
            json.objects("rules", rules, rule -> {
                json.put("name", rule.name());
                json.put("formula", rule.formula());
                json.put("source", rule.source());
                json.objects("parameters", rule.parameters(), parameter -> {
                    json.put("name", parameter.word());
                    json.put("default", rule.required().contains(parameter) ? null : rule.defaultOf(parameter));
                    json.put("meaning", parameter.meaning());
                });
                json.put("example", example(rule, " "));
            });
        }
    }
}
