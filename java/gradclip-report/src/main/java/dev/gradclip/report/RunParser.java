// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads run files line by line, of either format. Of JSON lines only {@code norm} is needed, so that any program can
 * write them; a key that is not known is passed over.
 */
final class RunParser {
    private static final JsonFactory JSON = new JsonFactoryBuilder()
            .enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER)
            .build();

    private enum Kind {
        JSON,
        CSV
    }

    private final String file;
    private @Nullable Kind kind;
    private long line;
    private List<String> columns = List.of();
    private List<String> names = List.of();
    private String normsOf = "tensors";
    private @Nullable String rule;
    private @Nullable String normType;
    private long lastStep = -1;

    /** Added to steps that begin anew, as where two files were joined. */
    private long offset;

    private double[] norms = {};
    private int normCount;

    /** @param file as errors name it */
    RunParser(String file) {
        this.file = file;
    }

    List<String> names() {
        return names;
    }

    /** The norms of the latest step. */
    double[] norms() {
        return Arrays.copyOf(norms, normCount);
    }

    String normsOf() {
        return normsOf;
    }

    @Nullable
    String rule() {
        return rule;
    }

    @Nullable
    String normType() {
        return normType;
    }

    /**
     * Reads the next line, without its line end; null where it holds no step.
     *
     * @throws BadRunException if it is no line of a run file
     */
    @Nullable
    RunStep parse(byte[] bytes, int length) throws BadRunException {
        line++;
        int end = length;
        while (end > 0 && bytes[end - 1] <= ' ' && bytes[end - 1] >= 0) end--;
        if (end == 0) return null;
        try {
            if (kind == null) kind = bytes[0] == '{' ? Kind.JSON : Kind.CSV;
            return kind == Kind.JSON ? json(bytes, end) : csv(new String(bytes, 0, end, StandardCharsets.UTF_8));
        } catch (JsonParseException e) {
            throw bad("is no JSON (" + e.getOriginalMessage() + ")");
        } catch (NumberFormatException e) {
            throw bad("holds no number where one is due (" + e.getMessage() + ")");
        } catch (BadRunException e) {
            throw e;
        } catch (IOException e) {
            throw bad("can't be read (" + e.getMessage() + ")");
        }
    }

    private BadRunException bad(String what) {
        return new BadRunException(file + ": line " + line + " " + what
                + "; a run file is written by RunRecorder, or holds lines as {\"step\":0,\"norm\":2.5}");
    }

    private @Nullable RunStep json(byte[] bytes, int end) throws IOException {
        long step = -1;
        double time = Double.NaN;
        double norm = Double.NaN;
        double threshold = Double.NaN;
        double coefficient = Double.NaN;
        boolean clipped = false;
        Boolean nonFinite = null;
        boolean skipped = false;
        boolean isHead = false;
        boolean isStep = false;
        boolean isNamed = false;
        normCount = 0;
        try (JsonParser parser = JSON.createParser(bytes, 0, end)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) throw bad("is no JSON object");
            for (JsonToken token = parser.nextToken(); token != JsonToken.END_OBJECT; token = parser.nextToken()) {
                if (token == null) throw bad("is not whole");
                String key = parser.currentName();
                JsonToken value = parser.nextToken();
                switch (key) {
                    case "step" -> step = parser.getLongValue();
                    case "time" -> time = number(parser);
                    case "norm" -> {
                        norm = number(parser);
                        isNamed = value == JsonToken.VALUE_STRING;
                        isStep = true;
                    }
                    case "threshold" -> threshold = number(parser);
                    case "coefficient" -> coefficient = number(parser);
                    case "clipped" -> clipped = parser.getBooleanValue();
                    case "non_finite" -> nonFinite = parser.getBooleanValue();
                    case "skipped" -> skipped = parser.getBooleanValue();
                    case "norms" -> array(parser, value);
                    case "gradclip_run" -> {
                        isHead = true;
                        if (parser.getIntValue() > JsonFormat.VERSION) {
                            throw bad("is of version " + parser.getIntValue() + " of the format, of which this gradclip"
                                    + " reads " + JsonFormat.VERSION + "; use a newer gradclip");
                        }
                    }
                    case "rule" -> rule = parser.getText();
                    case "norm_type" -> normType = parser.getText();
                    case "norms_of" -> normsOf = parser.getText();
                    case "names" -> names = strings(parser, value);
                    default -> parser.skipChildren();
                }
            }
            if (parser.nextToken() != null) throw bad("goes on after the object");
        }
        if (!isStep) {
            if (isHead) return null;
            throw bad("has no norm");
        }
        boolean isNonFinite = nonFinite == null ? isNamed : nonFinite;
        return step(step, time, norm, threshold, coefficient, clipped, isNonFinite, skipped);
    }

    private RunStep step(
            long step,
            double time,
            double norm,
            double threshold,
            double coefficient,
            boolean clipped,
            boolean nonFinite,
            boolean skipped)
            throws BadRunException {
        if (normCount > 0 && normCount != names.size()) {
            throw bad("has " + normCount + " norms for " + names.size() + " names");
        }
        long shown = step < 0 ? lastStep + 1 : step + offset;
        if (shown <= lastStep) {
            shown = lastStep + 1;
            offset = shown - Math.max(0, step);
        }
        lastStep = shown;
        return new RunStep(shown, time, norm, threshold, coefficient, clipped, nonFinite, skipped);
    }

    private static double number(JsonParser parser) throws IOException {
        return switch (parser.currentToken()) {
            case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_NULL -> Double.NaN;
            default -> named(parser.getText());
        };
    }

    private static double named(String text) {
        return switch (text) {
            case "nan" -> Double.NaN;
            case "inf" -> Double.POSITIVE_INFINITY;
            case "-inf" -> Double.NEGATIVE_INFINITY;
            default -> throw new NumberFormatException("'" + text + "'");
        };
    }

    private void array(JsonParser parser, JsonToken start) throws IOException {
        if (start != JsonToken.START_ARRAY) throw bad("has norms that are no list");
        while (parser.nextToken() != JsonToken.END_ARRAY) addNorm(number(parser));
    }

    private void addNorm(double norm) {
        if (normCount == norms.length) norms = Arrays.copyOf(norms, Math.max(16, 2 * normCount));
        norms[normCount++] = norm;
    }

    private List<String> strings(JsonParser parser, JsonToken start) throws IOException {
        if (start != JsonToken.START_ARRAY) throw bad("has names that are no list");
        List<String> strings = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            if (parser.currentToken() != JsonToken.VALUE_STRING) throw bad("has a name that is no text");
            strings.add(parser.getText());
        }
        return List.copyOf(strings);
    }

    private @Nullable RunStep csv(String text) throws BadRunException {
        List<String> cells = cells(text);
        if (cells.contains("norm")) {
            columns = cells;
            List<String> found = new ArrayList<>();
            for (String cell : cells) {
                if (cell.startsWith(CsvFormat.NORM)) found.add(cell.substring(CsvFormat.NORM.length()));
            }
            names = List.copyOf(found);
            return null;
        }
        if (columns.isEmpty()) throw bad("is neither JSON nor a CSV header with a column 'norm'");
        if (cells.size() > columns.size()) {
            throw bad("has " + cells.size() + " cells for " + columns.size() + " columns");
        }
        csvNorms(cells);
        String step = text(cells, "step");
        String nonFinite = text(cells, "non_finite");
        double norm = value(text(cells, "norm"));
        return step(
                step.isEmpty() ? -1 : Long.parseLong(step),
                value(text(cells, "time")),
                norm,
                value(text(cells, "threshold")),
                value(text(cells, "coefficient")),
                isTrue(text(cells, "clipped")),
                nonFinite.isEmpty()
                        ? !Double.isFinite(norm) && !text(cells, "norm").isEmpty()
                        : isTrue(nonFinite),
                isTrue(text(cells, "skipped")));
    }

    private void csvNorms(List<String> cells) {
        normCount = 0;
        boolean any = false;
        for (int i = 0; i < columns.size(); i++) {
            if (!columns.get(i).startsWith(CsvFormat.NORM)) continue;
            String cell = i < cells.size() ? cells.get(i) : "";
            any |= !cell.isEmpty();
            addNorm(value(cell));
        }
        if (!any) normCount = 0;
    }

    private String text(List<String> cells, String column) {
        int at = columns.indexOf(column);
        return at < 0 || at >= cells.size() ? "" : cells.get(at);
    }

    private static boolean isTrue(String cell) {
        return cell.equalsIgnoreCase("true");
    }

    private static double value(String cell) {
        if (cell.isEmpty()) return Double.NaN;
        char last = cell.charAt(cell.length() - 1);
        return last == 'n' || last == 'f' ? named(cell) : Double.parseDouble(cell);
    }

    private List<String> cells(String text) throws BadRunException {
        List<String> cells = new ArrayList<>();
        StringBuilder cell = new StringBuilder();
        boolean quoted = false;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' && quoted && i + 1 < text.length() && text.charAt(i + 1) == '"') {
                cell.append('"');
                i++;
            } else if (c == '"') {
                quoted = !quoted;
            } else if (c == ',' && !quoted) {
                cells.add(cell.toString());
                cell.setLength(0);
            } else {
                cell.append(c);
            }
        }
        if (quoted) throw bad("ends within quotes");
        cells.add(cell.toString());
        return cells;
    }
}
