// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.StreamWriteFeature;
import java.io.IOException;
import java.io.OutputStream;
import org.jspecify.annotations.Nullable;

/** Writes one JSON object on one line; a number that JSON does not have is written as "inf", "-inf" or "nan". */
public final class JsonReport implements AutoCloseable {
    // The feature writes the shortest digits that read back to the same double; Double.toString did not before 19.
    private static final JsonFactory JSON = new JsonFactoryBuilder()
            .characterEscapes(new JsonEscapes())
            .enable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER)
            .disable(StreamWriteFeature.AUTO_CLOSE_TARGET)
            .build();

    private final OutputStream out;
    private final JsonGenerator json;

    /** Writes the fields of an object. */
    @FunctionalInterface
    public interface Fields {
        void write() throws IOException;
    }

    /** Writes the fields of an item's object. */
    @FunctionalInterface
    public interface FieldsOf<T> {
        void write(T item) throws IOException;
    }

    /** Begins the object, which closing the report ends. */
    public JsonReport(OutputStream out) throws IOException {
        this.out = out;
        json = JSON.createGenerator(out);
        json.writeStartObject();
    }

    public void put(String key, @Nullable String value) throws IOException {
        json.writeStringField(key, value);
    }

    public void put(String key, boolean value) throws IOException {
        json.writeBooleanField(key, value);
    }

    public void put(String key, long value) throws IOException {
        json.writeNumberField(key, value);
    }

    public void put(String key, @Nullable Double value) throws IOException {
        json.writeFieldName(key);
        if (value == null) json.writeNull();
        else number(value);
    }

    public void putNull(String key) throws IOException {
        json.writeNullField(key);
    }

    /** Writes a field of numbers. */
    public void array(String key, double[] values) throws IOException {
        json.writeArrayFieldStart(key);
        for (double value : values) number(value);
        json.writeEndArray();
    }

    /** Writes a field of strings, or of whole numbers. */
    public void array(String key, Iterable<?> values) throws IOException {
        json.writeArrayFieldStart(key);
        for (Object value : values) json.writeObject(value);
        json.writeEndArray();
    }

    /** Writes a field of objects, one for each item. */
    public <T> void objects(String key, Iterable<T> items, FieldsOf<? super T> fields) throws IOException {
        json.writeArrayFieldStart(key);
        for (T item : items) {
            json.writeStartObject();
            fields.write(item);
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    /** Writes a field that is an object. */
    public void object(String key, Fields fields) throws IOException {
        json.writeObjectFieldStart(key);
        fields.write();
        json.writeEndObject();
    }

    private void number(double value) throws IOException {
        if (Double.isFinite(value)) json.writeNumber(value);
        else json.writeString(Numbers.nonFinite(value));
    }

    @Override
    public void close() throws IOException {
        json.close();
        out.write('\n');
    }
}
