// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.gradclip.measure.Shape;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The time that a contender took, as a line of JSON between the process that timed it and the one that reports.
 *
 * @param workload name of a {@link Shape}
 * @param dtype its type
 * @param what label of a {@link DuelCase}, with {@link Duel#AGAIN} where that is so
 * @param micros median microseconds a call
 * @param low its 10th percentile
 * @param high its 90th percentile
 */
record DuelSample(
        String workload,
        String dtype,
        String what,
        String contender,
        double micros,
        double low,
        double high,
        double calls) {
    static DuelSample of(Shape shape, String what, String contender, List<Double> micros) {
        double[] sorted = micros.stream().mapToDouble(Double::doubleValue).toArray();
        Arrays.sort(sorted);
        return new DuelSample(
                shape.name(),
                shape.type(),
                what,
                contender,
                at(sorted, 0.5),
                at(sorted, 0.1),
                at(sorted, 0.9),
                sorted.length);
    }

    private static double at(double[] sorted, double share) {
        return sorted[(int) Math.round(share * (sorted.length - 1))];
    }

    String toLine() throws IOException {
        StringWriter line = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(line)) {
            write(json);
        }
        return line.toString();
    }

    void write(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("workload", workload);
        json.writeStringField("dtype", dtype);
        json.writeStringField("case", what);
        json.writeStringField("contender", contender);
        json.writeNumberField("micros", micros);
        json.writeNumberField("micros_p10", low);
        json.writeNumberField("micros_p90", high);
        json.writeNumberField("calls", calls);
        json.writeEndObject();
    }

    static DuelSample ofLine(String line) throws IOException {
        try (JsonParser json = new JsonFactory().createParser(line)) {
            json.nextToken();
            return read(json);
        }
    }

    /** Reads what an earlier report was given as {@code --json}: the samples beside peers, in their order. */
    static List<DuelSample> ofReport(Path file) throws IOException {
        List<DuelSample> samples = new ArrayList<>();
        try (JsonParser json = new JsonFactory().createParser(file.toFile())) {
            json.nextToken();
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                boolean peers = json.currentName().equals("peers");
                if (json.nextToken() == JsonToken.START_ARRAY && peers) {
                    while (json.nextToken() == JsonToken.START_OBJECT) samples.add(read(json));
                }
                json.skipChildren();
            }
        }
        return samples;
    }

    /** Reads from the beginning of an object to its end. */
    private static DuelSample read(JsonParser json) throws IOException {
        Map<String, String> texts = new HashMap<>();
        Map<String, Double> numbers = new HashMap<>();
        while (json.nextToken() != null && json.currentToken() != JsonToken.END_OBJECT) {
            if (json.currentToken() == JsonToken.VALUE_STRING) texts.put(json.currentName(), json.getText());
            else if (json.currentToken().isNumeric()) numbers.put(json.currentName(), json.getDoubleValue());
        }
        return new DuelSample(
                texts.getOrDefault("workload", ""),
                texts.getOrDefault("dtype", ""),
                texts.getOrDefault("case", ""),
                texts.getOrDefault("contender", ""),
                numbers.getOrDefault("micros", Double.NaN),
                numbers.getOrDefault("micros_p10", Double.NaN),
                numbers.getOrDefault("micros_p90", Double.NaN),
                numbers.getOrDefault("calls", Double.NaN));
    }
}
