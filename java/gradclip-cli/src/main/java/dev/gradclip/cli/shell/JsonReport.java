// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.StreamWriteFeature;
import java.io.IOException;
import java.io.OutputStream;

/** One JSON document on one line; what JSON has no number for is written as "inf", "-inf" or "nan". */
public final class JsonReport implements AutoCloseable {
    // The feature writes the shortest digits that read back to the same double; Double.toString did not before 19.
    private static final JsonFactory JSON = new JsonFactoryBuilder()
            .characterEscapes(new JsonEscapes())
            .enable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER)
            .disable(StreamWriteFeature.AUTO_CLOSE_TARGET)
            .build();

    private final JsonGenerator generator;

    public JsonReport(OutputStream out) throws IOException {
        generator = JSON.createGenerator(out);
    }

    public JsonGenerator generator() {
        return generator;
    }

    public void number(String key, double value) throws IOException {
        generator.writeFieldName(key);
        if (Double.isFinite(value)) generator.writeNumber(value);
        else generator.writeString(Numbers.nonFinite(value));
    }

    public void numbers(String key, double[] values) throws IOException {
        generator.writeArrayFieldStart(key);
        for (double value : values) {
            if (Double.isFinite(value)) generator.writeNumber(value);
            else generator.writeString(Numbers.nonFinite(value));
        }
        generator.writeEndArray();
    }

    @Override
    public void close() throws IOException {
        generator.writeRaw('\n');
        generator.close();
    }
}
