// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.gradclip.measure.Case;
import dev.gradclip.measure.Times;
import java.io.File;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** {@link Scaling} as one JSON file. */
final class ScalingJson {
    private final JsonGenerator json;

    private ScalingJson(JsonGenerator json) {
        this.json = json;
    }

    /** Writes the facts given, then every figure and every model. */
    static void write(Scaling scaling, Map<String, String> facts, File file) throws IOException {
        try (JsonGenerator json = new JsonFactory().createGenerator(file, JsonEncoding.UTF8)) {
            json.useDefaultPrettyPrinter();
            json.writeStartObject();
            for (Map.Entry<String, String> fact : facts.entrySet()) {
                json.writeStringField(fact.getKey(), fact.getValue());
            }
            new ScalingJson(json).figures(scaling);
            json.writeEndObject();
        }
    }

    private void figures(Scaling scaling) throws IOException {
        json.writeArrayFieldStart("sizes");
        for (Scaling.Size s : scaling.sizes()) {
            clip(s.what(), s.elements(), 1, s.times());
        }
        json.writeEndArray();
        json.writeArrayFieldStart("tensors");
        for (Scaling.Count c : scaling.counts()) {
            clip(c.what(), c.elements(), c.tensors(), c.times());
        }
        json.writeEndArray();
        json.writeArrayFieldStart("threads");
        for (Scaling.Threads t : scaling.threads()) {
            json.writeStartObject();
            json.writeNumberField("threads", t.threads());
            fields(t.what(), t.elements(), 1, t.times());
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeArrayFieldStart("rebind");
        for (Scaling.Rebind r : scaling.rebinds()) {
            json.writeStartObject();
            json.writeNumberField("tensors", r.tensors());
            json.writeNumberField("moved", r.moved());
            times("rebind_micros", r.rebind());
            times("rebind_and_clip_micros", r.step());
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeArrayFieldStart("start");
        for (Scaling.Start s : scaling.starts()) {
            json.writeStartObject();
            json.writeStringField("part", s.part());
            json.writeNumberField("millis", s.median());
            json.writeNumberField("millis_least", s.least());
            json.writeNumberField("millis_most", s.most());
            json.writeEndObject();
        }
        json.writeEndArray();
        models("size_models", Model.ofSizes(scaling.sizes()), "micros_per_byte");
        models("tensor_models", Model.ofCounts(scaling.counts()), "micros_per_tensor");
    }

    private void clip(Case what, long elements, int tensors, Times times) throws IOException {
        json.writeStartObject();
        fields(what, elements, tensors, times);
        json.writeEndObject();
    }

    private void fields(Case what, long elements, int tensors, Times times) throws IOException {
        json.writeStringField("case", what.name().toLowerCase(Locale.ROOT));
        json.writeNumberField("elements", elements);
        json.writeNumberField("tensors", tensors);
        times("micros", times);
    }

    private void times(String name, Times times) throws IOException {
        json.writeNumberField(name, times.median());
        json.writeNumberField(name + "_p10", times.low());
        json.writeNumberField(name + "_p90", times.high());
    }

    private void models(String name, List<Model> models, String slope) throws IOException {
        json.writeArrayFieldStart(name);
        for (Model model : models) {
            json.writeStartObject();
            json.writeStringField("of", model.name());
            json.writeNumberField("start_micros", model.fit().start());
            json.writeNumberField(slope, model.fit().slope());
            json.writeNumberField("relative_residual", model.fit().residual());
            json.writeEndObject();
        }
        json.writeEndArray();
    }
}
