// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.shell.Version;
import dev.gradclip.measure.Shape;
import java.io.IOException;
import java.util.Locale;

/** Writes the JSON of {@code gradclip bench}, whose keys its help explains. */
final class BenchJson {
    private BenchJson() {}

    static void print(BenchReport bench, Terminal terminal) throws IOException {
        try (JsonReport json = new JsonReport(terminal.out())) {
            json.put("version", Version.number());
            json.put("threads", bench.threads());
            json.put("processors", Runtime.getRuntime().availableProcessors());
            json.put("simd", BackendOptions.simd());
            json.put("update", bench.update().word());
            json.put("seconds", bench.seconds());
            json.put("took_seconds", bench.took());
            json.objects("limits", bench.limits(), limit -> {
                shape(json, limit.shape());
                json.put("read_gb_s", limit.rates().read() / 1e3);
                json.put("rewrite_gb_s", 2 * limit.rates().rewrite() / 1e3);
            });
            json.objects("results", bench.rows(), row -> result(json, row));
            json.objects("left_out", bench.leftOut(), out -> {
                shape(json, out.shape());
                json.put("reason", out.reason());
            });
        }
    }

    private static void result(JsonReport json, BenchRow row) throws IOException {
        json.put("backend", BackendOptions.name(row.backend()));
        shape(json, row.shape());
        json.put("case", row.what().name().toLowerCase(Locale.ROOT));
        json.put("median_us", row.times().median());
        json.put("p10_us", row.times().low());
        json.put("p90_us", row.times().high());
        json.put("calls", row.times().calls());
        json.put("moved_bytes", row.moved());
        json.put("gb_s", row.gigabytesPerSecond());
        json.put("limit_us", row.hasLimit() ? (Double) row.limit() : null);
        json.put("of_limit", row.hasLimit() ? (Double) row.ofLimit() : null);
    }

    private static void shape(JsonReport json, Shape shape) throws IOException {
        json.put("tensors", shape.tensors().size());
        json.put("elements", shape.elements());
        json.put("dtype", shape.type());
        json.put("bytes", shape.bytes());
    }
}
