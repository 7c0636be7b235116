// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.core.io.CharacterEscapes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Draws run files as one web page, which holds all that it needs: norm over steps with its threshold, what was clipped
 * and skipped, and, where a file has them, norms and shares of layers.
 *
 * <pre>{@code
 * Files.write(Path.of("report.html"), RunPage.of(List.of(Path.of("run.jsonl"))));
 * }</pre>
 */
public final class RunPage {
    /** The steps that are drawn one by one; more of them are drawn in bins. */
    private static final int MOST_STEPS = 2000;

    private static final int MOST_BINS = 1000;

    /** The bars of the chart that shows how often gradients were clipped. */
    private static final int BARS = 100;

    private static final JsonFactory JSON = new JsonFactoryBuilder()
            .characterEscapes(new InScript())
            .enable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER)
            .build();

    /** Keeps a name from ending the script element that holds the data. */
    private static final class InScript extends CharacterEscapes {
        private static final long serialVersionUID = 1;

        private final int[] ascii = CharacterEscapes.standardAsciiEscapesForJSON();

        InScript() {
            for (char c : new char[] {'<', '>', '&'}) ascii[c] = ESCAPE_STANDARD;
        }

        @Override
        public int[] getEscapeCodesForAscii() {
            return ascii;
        }

        @Override
        public @Nullable SerializableString getEscapeSequence(int character) {
            return null;
        }
    }

    private RunPage() {}

    /**
     * Returns the page of some run files, in UTF-8.
     *
     * @throws BadRunException if a file is no run file, or holds no clip
     */
    public static byte[] of(List<Path> files) throws IOException {
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        try (JsonGenerator json = JSON.createGenerator(data)) {
            json.writeStartArray();
            for (Path file : files) new Data(RunSeries.read(file), json).write(String.valueOf(file.getFileName()));
            json.writeEndArray();
        }
        String page = resource("page.html")
                .replace("/*CHARTS.CSS*/", resource("uplot/uPlot.min.css"))
                .replace("/*PAGE.CSS*/", resource("page.css"))
                .replace("/*CHARTS.JS*/", resource("uplot/uPlot.iife.min.js"))
                .replace("/*PAGE.JS*/", resource("page.js"))
                .replace("/*DATA*/", data.toString(StandardCharsets.UTF_8));
        return page.getBytes(StandardCharsets.UTF_8);
    }

    private static String resource(String name) throws IOException {
        try (InputStream in = RunPage.class.getResourceAsStream(name)) {
            if (in == null) throw new IllegalStateException("the jar of gradclip-report lacks " + name);
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /** Writes what the page's script draws of one run. */
    private record Data(RunSeries run, JsonGenerator json) {
        /** Where the bins of a curve begin and end. */
        private interface Bins {
            void write(int from, int to) throws IOException;
        }

        void write(String name) throws IOException {
            int count = run.count();
            double[] sorted = run.sorted(0, count);
            json.writeStartObject();
            json.writeStringField("name", name);
            text("rule", run.rule());
            text("normType", run.normType());
            json.writeNumberField("steps", count);
            json.writeNumberField("firstStep", run.firstStep());
            json.writeNumberField("lastStep", run.lastStep());
            number("started", run.firstTime());
            number("seconds", run.seconds());
            json.writeNumberField("clipped", run.clipped(0, count));
            json.writeNumberField("skipped", run.skipped(0, count));
            json.writeNumberField("nonFinite", run.nonFinite(0, count));
            int zeros = 0;
            while (zeros < sorted.length && sorted[zeros] == 0) zeros++;
            json.writeNumberField("zeros", zeros);
            number("smallest", RunSeries.percentile(sorted, 0));
            number("median", RunSeries.percentile(sorted, 50));
            number("p95", RunSeries.percentile(sorted, 95));
            number("largest", RunSeries.percentile(sorted, 100));
            number("threshold", run.threshold(0, count));
            json.writeBooleanField("thresholdVaries", run.thresholdVaries());
            curves(count <= MOST_STEPS ? 1 : (count + MOST_BINS - 1) / MOST_BINS);
            bars((count + BARS - 1) / BARS);
            if (!run.layers().isEmpty()) layers(run.layers());
            json.writeEndObject();
        }

        private void curves(int width) throws IOException {
            json.writeNumberField("bin", width);
            array("x", width, (from, to) -> json.writeNumber(run.step(from)));
            array("last", width, (from, to) -> json.writeNumber(run.step(to - 1)));
            array("low", width, (from, to) -> drawn(RunSeries.percentile(run.sorted(from, to), 0)));
            array("mid", width, (from, to) -> drawn(RunSeries.percentile(run.sorted(from, to), 50)));
            array("high", width, (from, to) -> drawn(RunSeries.percentile(run.sorted(from, to), 100)));
            array("limit", width, (from, to) -> drawn(run.threshold(from, to)));
            array("cut", width, (from, to) -> json.writeNumber(run.clipped(from, to)));
            array("skip", width, (from, to) -> json.writeNumber(run.skipped(from, to)));
            array("bad", width, (from, to) -> json.writeNumber(run.nonFinite(from, to)));
        }

        private void bars(int width) throws IOException {
            json.writeObjectFieldStart("bars");
            json.writeNumberField("bin", width);
            array("x", width, (from, to) -> json.writeNumber(run.step(from)));
            array("share", width, (from, to) -> json.writeNumber((float) run.clipped(from, to) / (to - from)));
            json.writeEndObject();
        }

        private void layers(HeatBins layers) throws IOException {
            json.writeObjectFieldStart("layers");
            json.writeStringField("of", run.normsOf());
            json.writeNumberField("bin", layers.width());
            json.writeNumberField("lines", layers.lines());
            json.writeArrayFieldStart("names");
            for (String name : layers.names()) json.writeString(name);
            json.writeEndArray();
            json.writeArrayFieldStart("shares");
            for (double share : layers.shares()) number(share);
            json.writeEndArray();
            json.writeArrayFieldStart("x");
            for (long step : layers.steps()) json.writeNumber(step);
            json.writeEndArray();
            json.writeArrayFieldStart("scale");
            for (double end : layers.scale()) json.writeNumber(end);
            json.writeEndArray();
            json.writeBinaryField("levels", layers.levels());
            json.writeEndObject();
        }

        private void array(String key, int width, Bins bins) throws IOException {
            json.writeArrayFieldStart(key);
            for (int from = 0; from < run.count(); from += width) bins.write(from, Math.min(from + width, run.count()));
            json.writeEndArray();
        }

        private void text(String key, @Nullable String value) throws IOException {
            if (value != null) json.writeStringField(key, value);
        }

        private void number(String key, double value) throws IOException {
            json.writeFieldName(key);
            number(value);
        }

        private void number(double value) throws IOException {
            if (Double.isFinite(value)) json.writeNumber(value);
            else if (Double.isNaN(value)) json.writeNull();
            else json.writeString(JsonFormat.nonFinite(value));
        }

        /** What has a place on a logarithmic axis. */
        private void drawn(double value) throws IOException {
            if (!(value > 0) || Double.isInfinite(value)) json.writeNull();
            else if (Float.isFinite((float) value) && (float) value > Float.MIN_NORMAL) json.writeNumber((float) value);
            else json.writeNumber(value);
        }
    }
}
