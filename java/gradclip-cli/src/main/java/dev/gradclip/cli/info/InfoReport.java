// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.info;

import dev.gradclip.Backend;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.shell.Version;
import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Prints the findings of {@code gradclip info}. */
final class InfoReport {
    private InfoReport() {}

    static void text(Terminal terminal) {
        PrintStream out = terminal.out();
        out.println(terminal.bold("gradclip " + Version.number()));
        for (Backend backend : Backend.values()) backend(terminal, backend);
        out.println(terminal.bold("machine"));
        line(out, "threads", String.valueOf(Machine.threads()));
        Machine.facts().forEach((key, value) -> line(out, key, value));
    }

    private static void backend(Terminal terminal, Backend backend) {
        PrintStream out = terminal.out();
        String state = backend.isAvailable() ? "available" : "not available";
        String chosen = backend == Backend.preferred() ? ", chosen" : "";
        out.println(terminal.bold("backend " + BackendOptions.name(backend)) + ": " + state + chosen);
        line(out, "why", backend.reason());
        String missing = BackendOptions.missing();
        if (backend == Backend.NATIVE && !missing.isEmpty()) line(out, "missing", missing);
        if (!backend.remedy().isEmpty()) line(out, "what to do", backend.remedy());
        new TreeMap<>(backend.details()).forEach((key, value) -> line(out, key, value));
    }

    private static void line(PrintStream out, String key, String value) {
        out.printf("  %-12s  %s%n", key, Printable.escaped(value));
    }

    static void json(Terminal terminal) throws IOException {
        try (JsonReport json = new JsonReport(terminal.out())) {
            json.put("version", Version.number());
            json.put("chosen", BackendOptions.name(Backend.preferred()));
            json.objects("backends", List.of(Backend.values()), backend -> {
                json.put("name", BackendOptions.name(backend));
                json.put("available", backend.isAvailable());
                json.put("chosen", backend == Backend.preferred());
                json.put("reason", backend.reason());
                json.put("remedy", backend.remedy());
                json.object("details", () -> strings(json, new TreeMap<>(backend.details())));
            });
            json.put("threads", Machine.threads());
            strings(json, Machine.facts());
        }
    }

    private static void strings(JsonReport json, Map<String, String> values) throws IOException {
        for (Map.Entry<String, String> entry : values.entrySet()) json.put(entry.getKey(), entry.getValue());
    }
}
