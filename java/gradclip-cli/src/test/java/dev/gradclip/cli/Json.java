// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.gradclip.cli.shell.Numbers;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON as maps, lists, strings, booleans and doubles; null as the string "null". */
public final class Json {
    private static final JsonFactory JSON = new JsonFactory();

    private Json() {}

    public static Map<String, Object> object(String text) {
        try (JsonParser parser = JSON.createParser(text)) {
            parser.nextToken();
            return map(value(parser));
        } catch (IOException e) {
            throw new UncheckedIOException(text, e);
        }
    }

    @SuppressWarnings("unchecked")
    public static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    public static Map<String, Object> map(Map<String, Object> parent, String key) {
        return map(get(parent, key));
    }

    @SuppressWarnings("unchecked")
    public static List<Map<String, Object>> maps(Map<String, Object> parent, String key) {
        return (List<Map<String, Object>>) get(parent, key);
    }

    public static String string(Map<String, Object> parent, String key) {
        return (String) get(parent, key);
    }

    public static double number(Map<String, Object> parent, String key) {
        Object value = get(parent, key);
        return value instanceof Double d ? d : Numbers.parse((String) value);
    }

    public static Object get(Map<String, Object> parent, String key) {
        Object value = parent.get(key);
        if (value == null) throw new AssertionError("no " + key + " in " + parent);
        return value;
    }

    private static Object value(JsonParser parser) throws IOException {
        return switch (parser.currentToken()) {
            case START_OBJECT -> {
                Map<String, Object> result = new LinkedHashMap<>();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String key = parser.currentName();
                    parser.nextToken();
                    result.put(key, value(parser));
                }
                yield result;
            }
            case START_ARRAY -> {
                List<Object> result = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) result.add(value(parser));
                yield result;
            }
            case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> Double.parseDouble(parser.getText());
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            default -> parser.getText();
        };
    }
}
