// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.io.JsonEOFException;
import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.Printable;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads the JSON of a header, and nothing but what the format allows. */
final class HeaderParser {
    private static final String METADATA = "__metadata__";
    private static final int INTEGER_DIGITS = 1000;
    private static final int MOST_DEPTH = 8;

    /** The number of characters shown on each side of a fault. */
    private static final int CONTEXT = 20;

    // Names are unique, so a table of symbols would only cost memory; nothing legal is nested deeper than three.
    private static final JsonFactory JSON = JsonFactory.builder()
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(MOST_DEPTH)
                    .maxNumberLength(INTEGER_DIGITS)
                    .maxNameLength(Integer.MAX_VALUE)
                    .maxStringLength(Integer.MAX_VALUE)
                    .build())
            .build();

    private final JsonParser json;
    private final Set<String> names = new HashSet<>();
    private final List<TensorEntry> tensors = new ArrayList<>();
    private @Nullable String current;

    private HeaderParser(JsonParser json) {
        this.json = json;
    }

    /** Reads the tensors of a header's JSON, in the order written. */
    static List<TensorEntry> parse(byte[] bytes, int offset, int length) throws IOException {
        // A decoder of its own reports malformed UTF-8, where the JSON parser's would pass some of it.
        InputStreamReader text = new InputStreamReader(
                new ByteArrayInputStream(bytes, offset, length), StandardCharsets.UTF_8.newDecoder());
        try (JsonParser json = JSON.createParser(text)) {
            HeaderParser parser = new HeaderParser(json);
            try {
                return parser.header();
            } catch (CharacterCodingException e) {
                throw new BadFileException(parser.where() + "the header is not UTF-8", e);
            } catch (JsonProcessingException e) {
                throw new BadFileException(parser.where() + parser.reason(e, bytes, offset, length), e);
            }
        }
    }

    /** Says what is wrong with the JSON; the parser's own words are about its classes and settings. */
    private String reason(JsonProcessingException e, byte[] bytes, int offset, int length) throws IOException {
        if (e instanceof StreamConstraintsException) {
            boolean deep = json.getParsingContext().getNestingDepth() >= MOST_DEPTH;
            return deep
                    ? "the header is nested too deeply"
                    : "an integer of the header has more than " + INTEGER_DIGITS + " digits";
        }
        if (e instanceof JsonEOFException) return "the header is not JSON: it ends too soon";
        long at = e.getLocation() == null ? 0 : e.getLocation().getCharOffset();
        return "the header is not JSON at character " + (at + 1) + ", in "
                + Printable.quoted(around(at, bytes, offset, length));
    }

    /** Returns some text before and after a character of the header. */
    private static String around(long at, byte[] bytes, int offset, int length) throws IOException {
        try (Reader text =
                new InputStreamReader(new ByteArrayInputStream(bytes, offset, length), StandardCharsets.UTF_8)) {
            text.skip(Math.max(0, at - CONTEXT));
            char[] around = new char[2 * CONTEXT];
            return new String(around, 0, Math.max(0, text.read(around)));
        }
    }

    private List<TensorEntry> header() throws IOException {
        if (json.nextToken() != JsonToken.START_OBJECT) throw fault("the header must be a JSON object");
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String name = unique(names, json.currentName(), "tensor");
            json.nextToken();
            current = name;
            if (name.equals(METADATA)) metadata();
            else tensors.add(tensor(name));
            current = null;
        }
        if (json.nextToken() != null) throw fault("the header holds more than one JSON object");
        return tensors;
    }

    private void metadata() throws IOException {
        expect(JsonToken.START_OBJECT, "must be a map of strings");
        Set<String> keys = new HashSet<>();
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String key = unique(keys, json.currentName(), "key");
            json.nextToken();
            expect(JsonToken.VALUE_STRING, "the value of " + Printable.quoted(key) + " must be a string");
            if (!isUnicode(json.getText())) throw fault("the value of " + Printable.quoted(key) + " is not Unicode");
        }
    }

    private TensorEntry tensor(String name) throws IOException {
        expect(JsonToken.START_OBJECT, "must be an object with dtype, shape and data_offsets");
        Set<String> keys = new HashSet<>();
        ElementType type = null;
        List<Long> shape = null;
        List<Long> offsets = null;
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String key = unique(keys, json.currentName(), "key");
            json.nextToken();
            switch (key) {
                case "dtype" -> type = type();
                case "shape" -> shape = integers(key);
                case "data_offsets" -> offsets = integers(key);
                // It could change what the bytes mean.
                default ->
                    throw fault("unknown key " + Printable.quoted(key) + "; expected dtype, shape, data_offsets");
            }
        }
        if (type == null) throw fault("has no dtype");
        if (shape == null) throw fault("has no shape");
        if (offsets == null) throw fault("has no data_offsets");
        if (offsets.size() != 2) {
            throw fault("data_offsets must be two integers, but there are " + offsets.size());
        }
        return new TensorEntry(name, type, shape, offsets.get(0), offsets.get(1));
    }

    private ElementType type() throws IOException {
        expect(JsonToken.VALUE_STRING, "dtype must be a string");
        String name = json.getText();
        ElementType type = ElementType.byName(name);
        if (type == null) {
            throw fault("unknown dtype " + Printable.quoted(name) + "; expected one of " + ElementType.names());
        }
        return type;
    }

    private List<Long> integers(String key) throws IOException {
        expect(JsonToken.START_ARRAY, key + " must be a list of integers");
        List<Long> result = new ArrayList<>();
        while (json.nextToken() != JsonToken.END_ARRAY) {
            expect(JsonToken.VALUE_NUMBER_INT, key + " must hold integers only");
            String digits = json.getText();
            if (digits.startsWith("-")) throw fault(key + " holds " + shortNumber(digits) + ", which is negative");
            try {
                result.add(Long.parseLong(digits));
            } catch (NumberFormatException e) {
                throw new BadFileException(where() + key + " holds " + shortNumber(digits) + ", above 2^63 - 1", e);
            }
        }
        return List.copyOf(result);
    }

    private String unique(Set<String> seen, String name, String what) throws BadFileException {
        if (!isUnicode(name)) throw fault(what + " name " + Printable.quoted(name) + " is not Unicode");
        if (!seen.add(name)) throw fault("duplicate " + what + " " + Printable.quoted(name));
        return name;
    }

    private static boolean isUnicode(String text) {
        return StandardCharsets.UTF_8.newEncoder().canEncode(text);
    }

    private void expect(JsonToken token, String rule) throws BadFileException {
        if (json.currentToken() != token) throw fault(rule + ", but " + found(json.currentToken()));
    }

    private static String found(@Nullable JsonToken token) {
        if (token == null) return "the header ends";
        return switch (token) {
            case START_OBJECT -> "an object stands there";
            case START_ARRAY -> "a list stands there";
            case VALUE_STRING -> "a string stands there";
            case VALUE_NUMBER_INT -> "an integer stands there";
            case VALUE_NUMBER_FLOAT -> "a fraction or exponent stands there";
            case VALUE_NULL -> "null stands there";
            case VALUE_TRUE, VALUE_FALSE -> "a boolean stands there";
            default -> "something else stands there";
        };
    }

    private static String shortNumber(String digits) {
        return Printable.shortened(digits, 40);
    }

    private BadFileException fault(String what) {
        return new BadFileException(where() + what);
    }

    private String where() {
        if (current == null) return "";
        return (current.equals(METADATA) ? "" : "tensor ") + Printable.quoted(current) + ": ";
    }
}
