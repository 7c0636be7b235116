// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.StreamWriteFeature;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Writes JSON lines. A number that JSON does not have is written as "inf", "-inf" or "nan". */
final class JsonFormat implements RunFormat {
    /** The version of the format, under the key that marks a head. */
    static final int VERSION = 1;

    private static final JsonFactory JSON = new JsonFactoryBuilder()
            .rootValueSeparator((String) null)
            .enable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER)
            .build();

    private final JsonGenerator json;

    JsonFormat(ByteArrayOutputStream out) throws IOException {
        json = JSON.createGenerator(out);
    }

    @Override
    public void head(@Nullable String rule, String normType, String of, List<String> names) throws IOException {
        json.writeStartObject();
        json.writeNumberField("gradclip_run", VERSION);
        if (rule != null) json.writeStringField("rule", rule);
        if (!normType.isEmpty()) json.writeStringField("norm_type", normType);
        if (!names.isEmpty()) {
            json.writeStringField("norms_of", of);
            json.writeArrayFieldStart("names");
            for (String name : names) json.writeString(name);
            json.writeEndArray();
        }
        endLine();
    }

    @Override
    public void step(RunStep step, Collection<Double> norms) throws IOException {
        json.writeStartObject();
        json.writeNumberField("step", step.step());
        json.writeFieldName("time");
        json.writeNumber(String.format(Locale.ROOT, "%.3f", step.time()));
        json.writeFieldName("norm");
        if (Double.isNaN(step.norm()) && !step.nonFinite()) json.writeNull();
        else number(step.norm());
        orNull("threshold", step.threshold());
        orNull("coefficient", step.coefficient());
        json.writeBooleanField("clipped", step.clipped());
        json.writeBooleanField("non_finite", step.nonFinite());
        json.writeBooleanField("skipped", step.skipped());
        if (!norms.isEmpty()) {
            json.writeArrayFieldStart("norms");
            for (double norm : norms) brief(norm);
            json.writeEndArray();
        }
        endLine();
    }

    private void endLine() throws IOException {
        json.writeEndObject();
        json.writeRaw('\n');
        json.flush();
    }

    private void orNull(String key, double value) throws IOException {
        json.writeFieldName(key);
        if (Double.isNaN(value)) json.writeNull();
        else number(value);
    }

    private void number(double value) throws IOException {
        if (Double.isFinite(value)) json.writeNumber(value);
        else json.writeString(nonFinite(value));
    }

    /** The digits of a float are enough to look at, and half as many. */
    private void brief(double value) throws IOException {
        float brief = (float) value;
        if (Float.isFinite(brief) && (brief != 0 || value == 0)) json.writeNumber(brief);
        else number(value);
    }

    static String nonFinite(double value) {
        return Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
    }
}
