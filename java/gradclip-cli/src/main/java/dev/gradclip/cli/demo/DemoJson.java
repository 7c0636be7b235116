// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Version;
import dev.gradclip.demo.Clipping;
import dev.gradclip.demo.DemoResult;
import dev.gradclip.demo.DigitsResult;
import dev.gradclip.demo.TemporalResult;
import dev.gradclip.demo.Trace;
import java.io.IOException;
import java.io.OutputStream;

/** The figures of {@code gradclip demo}, whose keys its help explains. No time is among them: one seed, one file. */
final class DemoJson {
    private DemoJson() {}

    static void write(DemoResult demo, OutputStream out) throws IOException {
        try (JsonReport report = new JsonReport(out)) {
            JsonGenerator json = report.generator();
            json.writeStartObject();
            json.writeStringField("written_by", DemoFiles.WRITER);
            json.writeStringField("version", Version.number());
            json.writeStringField("backend", BackendOptions.name(demo.plan().backend()));
            json.writeNumberField("seed", demo.plan().seed());
            report.number("seconds", demo.plan().seconds());
            json.writeFieldName("digits");
            if (demo.digits() == null) json.writeNull();
            else digits(demo.digits(), report);
            json.writeFieldName("temporal_order");
            if (demo.temporalOrder() == null) json.writeNull();
            else temporalOrder(demo.temporalOrder(), report);
            json.writeEndObject();
        }
    }

    private static void digits(DigitsResult digits, JsonReport report) throws IOException {
        JsonGenerator json = report.generator();
        json.writeStartObject();
        json.writeStringField("framework", digits.framework());
        json.writeStringField("model", digits.model());
        json.writeStringField("source", digits.source());
        json.writeNumberField("train", digits.train());
        json.writeNumberField("test", digits.test());
        report.number("learning_rate", digits.learningRate());
        json.writeArrayFieldStart("runs");
        for (DigitsResult.Run run : digits.runs()) {
            json.writeStartObject();
            json.writeStringField("clipping", run.clipping().name());
            report.number("test_accuracy", run.accuracy());
            summary(run.trace(), report);
            report.numbers("losses", run.trace().losses());
            report.numbers("norms", run.trace().norms());
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    private static void temporalOrder(TemporalResult result, JsonReport report) throws IOException {
        JsonGenerator json = report.generator();
        json.writeStartObject();
        report.number("learning_rate", result.learningRate());
        json.writeNumberField("most_updates", result.updates());
        json.writeArrayFieldStart("runs");
        for (TemporalResult.Run run : result.runs()) {
            json.writeStartObject();
            json.writeStringField("clipping", run.clipping().name());
            json.writeNumberField("length", run.length());
            json.writeNumberField("run", run.run());
            json.writeBooleanField("solved", run.solved());
            report.number("error", run.error());
            summary(run.trace(), report);
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeArrayFieldStart("success");
        for (Clipping clipping : result.clippings()) {
            for (int length : result.lengths()) {
                json.writeStartObject();
                json.writeStringField("clipping", clipping.name());
                json.writeNumberField("length", length);
                report.number("rate", result.successRate(clipping, length));
                json.writeEndObject();
            }
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    private static void summary(Trace trace, JsonReport report) throws IOException {
        JsonGenerator json = report.generator();
        json.writeNumberField("steps", trace.steps());
        report.number("final_loss", trace.finalLoss());
        json.writeNumberField("clipped_steps", trace.clipped());
        report.number("largest_norm", trace.largestNorm());
    }
}
