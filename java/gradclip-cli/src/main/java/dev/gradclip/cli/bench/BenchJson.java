// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.gradclip.Backend;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Machine;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.shell.Version;
import dev.gradclip.measure.Shape;
import java.io.IOException;
import java.util.Locale;

/** The JSON of {@code gradclip bench}, whose keys its help explains. */
final class BenchJson {
    private BenchJson() {}

    static void print(BenchReport bench, Terminal terminal) throws IOException {
        try (JsonReport report = new JsonReport(terminal.out())) {
            JsonGenerator json = report.generator();
            json.writeStartObject();
            json.writeStringField("version", Version.number());
            json.writeNumberField("threads", bench.threads());
            json.writeNumberField("processors", Machine.threads());
            json.writeStringField("simd", Backend.NATIVE.details().getOrDefault("simd", "none"));
            report.number("seconds", bench.seconds());
            report.number("took_seconds", bench.took());
            json.writeArrayFieldStart("limits");
            for (BenchReport.Limit limit : bench.limits()) limit(report, limit);
            json.writeEndArray();
            json.writeArrayFieldStart("results");
            for (BenchRow row : bench.rows()) row(report, row);
            json.writeEndArray();
            json.writeArrayFieldStart("left_out");
            for (BenchPlan.LeftOut out : bench.leftOut()) {
                json.writeStartObject();
                shape(json, out.shape());
                json.writeStringField("reason", out.reason());
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        }
    }

    private static void limit(JsonReport report, BenchReport.Limit limit) throws IOException {
        JsonGenerator json = report.generator();
        json.writeStartObject();
        shape(json, limit.shape());
        report.number("read_gb_s", limit.rates().read() / 1e3);
        report.number("rewrite_gb_s", 2 * limit.rates().rewrite() / 1e3);
        json.writeEndObject();
    }

    private static void row(JsonReport report, BenchRow row) throws IOException {
        JsonGenerator json = report.generator();
        json.writeStartObject();
        json.writeStringField("backend", BackendOptions.name(row.backend()));
        shape(json, row.shape());
        json.writeStringField("case", row.what().name().toLowerCase(Locale.ROOT));
        report.number("median_us", row.times().median());
        report.number("p10_us", row.times().low());
        report.number("p90_us", row.times().high());
        json.writeNumberField("calls", row.times().calls());
        json.writeNumberField("moved_bytes", row.moved());
        report.number("gb_s", row.gigabytesPerSecond());
        if (row.hasLimit()) {
            report.number("limit_us", row.limit());
            report.number("of_limit", row.ofLimit());
        } else {
            json.writeNullField("limit_us");
            json.writeNullField("of_limit");
        }
        json.writeEndObject();
    }

    private static void shape(JsonGenerator json, Shape shape) throws IOException {
        json.writeNumberField("tensors", shape.tensors().size());
        json.writeNumberField("elements", shape.elements());
        json.writeStringField("dtype", shape.type());
        json.writeNumberField("bytes", shape.bytes());
    }
}
