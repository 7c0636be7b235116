// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Version;
import dev.gradclip.demo.DemoResult;
import dev.gradclip.demo.DigitsResult;
import dev.gradclip.demo.TemporalResult;
import dev.gradclip.demo.Trace;
import java.io.IOException;
import java.io.OutputStream;

/** Writes the figures of {@code gradclip demo}, whose keys its help explains; no time, so one seed gives one file. */
final class DemoJson {
    private DemoJson() {}

    static void write(DemoResult demo, OutputStream out) throws IOException {
        try (JsonReport json = new JsonReport(out)) {
            DigitsResult digits = demo.digits();
            TemporalResult temporalOrder = demo.temporalOrder();
            json.put("written_by", DemoFiles.WRITER);
            json.put("version", Version.number());
            json.put("backend", BackendOptions.name(demo.plan().backend()));
            json.put("seed", demo.plan().seed());
            json.put("seconds", demo.plan().seconds());
            if (digits == null) json.putNull("digits");
            else json.object("digits", () -> digits(json, digits));
            if (temporalOrder == null) json.putNull("temporal_order");
            else json.object("temporal_order", () -> temporalOrder(json, temporalOrder));
        }
    }

    private static void digits(JsonReport json, DigitsResult digits) throws IOException {
        json.put("framework", digits.framework());
        json.put("model", digits.model());
        json.put("source", digits.source());
        json.put("train", digits.train());
        json.put("test", digits.test());
        json.put("learning_rate", digits.learningRate());
        json.objects("runs", digits.runs(), run -> {
            json.put("clipping", run.clipping().name());
            json.put("test_accuracy", run.accuracy());
            summary(json, run.trace());
            json.array("losses", run.trace().losses());
            json.array("norms", run.trace().norms());
        });
    }

    private static void temporalOrder(JsonReport json, TemporalResult result) throws IOException {
        json.put("learning_rate", result.learningRate());
        json.put("most_updates", result.updates());
        json.objects("runs", result.runs(), run -> {
            json.put("clipping", run.clipping().name());
            json.put("length", run.length());
            json.put("run", run.run());
            json.put("solved", run.solved());
            json.put("error", run.error());
            summary(json, run.trace());
        });
        json.objects("success", result.rates(), rate -> {
            json.put("clipping", rate.clipping().name());
            json.put("length", rate.length());
            json.put("rate", rate.solved());
        });
    }

    private static void summary(JsonReport json, Trace trace) throws IOException {
        json.put("steps", trace.steps());
        json.put("final_loss", trace.finalLoss());
        json.put("clipped_steps", trace.clipped());
        json.put("largest_norm", trace.largestNorm());
    }
}
