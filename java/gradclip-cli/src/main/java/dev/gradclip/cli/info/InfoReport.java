// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.info;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.gradclip.Backend;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Machine;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.shell.Version;
import java.io.IOException;
import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/** The report of {@code gradclip info}. */
final class InfoReport {
    private InfoReport() {}

    static void text(Terminal terminal) {
        PrintStream out = terminal.out();
        out.println(terminal.bold("gradclip " + Version.number()));
        for (Backend backend : Backend.values()) backend(terminal, backend);
        out.println(terminal.bold("machine"));
        machine().forEach((key, value) -> line(out, key, value));
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

    private static Map<String, String> machine() {
        Map<String, String> machine = new LinkedHashMap<>();
        machine.put("threads", String.valueOf(Machine.threads()));
        machine.put("fma", Machine.fma());
        machine.put("simd", Machine.simd());
        machine.put("jvm", Machine.jvm());
        machine.put("os", Machine.os());
        return machine;
    }

    static void json(Terminal terminal) throws IOException {
        try (JsonReport report = new JsonReport(terminal.out())) {
            JsonGenerator json = report.generator();
            json.writeStartObject();
            json.writeStringField("version", Version.number());
            json.writeStringField("chosen", BackendOptions.name(Backend.preferred()));
            json.writeArrayFieldStart("backends");
            for (Backend backend : Backend.values()) backendJson(json, backend);
            json.writeEndArray();
            for (Map.Entry<String, String> entry : machine().entrySet()) {
                if (entry.getKey().equals("threads")) json.writeNumberField("threads", Machine.threads());
                else json.writeStringField(entry.getKey(), entry.getValue());
            }
            json.writeEndObject();
        }
    }

    private static void backendJson(JsonGenerator json, Backend backend) throws IOException {
        json.writeStartObject();
        json.writeStringField("name", BackendOptions.name(backend));
        json.writeBooleanField("available", backend.isAvailable());
        json.writeBooleanField("chosen", backend == Backend.preferred());
        json.writeStringField("reason", backend.reason());
        json.writeStringField("remedy", backend.remedy());
        json.writeObjectFieldStart("details");
        for (Map.Entry<String, String> entry : new TreeMap<>(backend.details()).entrySet()) {
            json.writeStringField(entry.getKey(), entry.getValue());
        }
        json.writeEndObject();
        json.writeEndObject();
    }
}
