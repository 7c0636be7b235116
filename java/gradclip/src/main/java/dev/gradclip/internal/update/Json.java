// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.update;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The part of JSON that a safetensors header has: objects, arrays, strings, whole numbers. */
final class Json {
    private static final int MOST_NESTED = 16;

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** Writes a string. */
    static void write(StringBuilder to, String value) {
        to.append('"');
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c == '"' || c == '\\') to.append('\\').append(c);
            else if (c < ' ') to.append(String.format("\\u%04x", (int) c));
            else to.append(c);
        }
        to.append('"');
    }

    /**
     * Reads an object whose values are maps, lists, strings and longs.
     *
     * @throws IllegalArgumentException where it is not one, with the place
     */
    static Map<String, Object> object(String text) {
        Json json = new Json(text);
        json.skip();
        Map<String, Object> object = json.object(0);
        json.skip();
        if (json.at != text.length()) throw json.fault("goes on after its end");
        return object;
    }

    private IllegalArgumentException fault(String what) {
        return new IllegalArgumentException("it " + what + " at character " + at);
    }

    private void skip() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
    }

    private char next() {
        if (at >= text.length()) throw fault("ends");
        return text.charAt(at);
    }

    private void expect(char c) {
        if (next() != c) throw fault("has no '" + c + "'");
        at++;
    }

    private Object value(int depth) {
        if (depth > MOST_NESTED) throw fault("is nested too deeply");
        skip();
        char c = next();
        if (c == '{') return object(depth);
        if (c == '"') return string();
        if (c == '[') return list(depth);
        return number();
    }

    private Map<String, Object> object(int depth) {
        Map<String, Object> object = new LinkedHashMap<>();
        expect('{');
        skip();
        if (next() == '}') {
            at++;
            return object;
        }
        while (true) {
            skip();
            String key = string();
            skip();
            expect(':');
            if (object.put(key, value(depth + 1)) != null) throw fault("has '" + key + "' twice");
            skip();
            if (next() == '}') break;
            expect(',');
        }
        at++;
        return object;
    }

    private List<Object> list(int depth) {
        List<Object> list = new ArrayList<>();
        expect('[');
        skip();
        if (next() == ']') {
            at++;
            return list;
        }
        while (true) {
            list.add(value(depth + 1));
            skip();
            if (next() == ']') break;
            expect(',');
        }
        at++;
        return list;
    }

    private Long number() {
        int from = at;
        if (next() == '-') at++;
        while (at < text.length() && Character.isDigit(text.charAt(at))) at++;
        try {
            return Long.valueOf(text.substring(from, at));
        } catch (NumberFormatException e) {
            throw fault("has no value that a header has");
        }
    }

    private String string() {
        StringBuilder string = new StringBuilder();
        expect('"');
        while (next() != '"') {
            char c = text.charAt(at++);
            string.append(c == '\\' ? escaped() : c);
        }
        at++;
        return string.toString();
    }

    private char escaped() {
        char c = next();
        at++;
        return switch (c) {
            case 'n' -> '\n';
            case 't' -> '\t';
            case 'r' -> '\r';
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'u' -> unit();
            default -> c;
        };
    }

    private char unit() {
        if (at + 4 > text.length()) throw fault("ends");
        try {
            char unit = (char) Integer.parseInt(text.substring(at, at + 4), 16);
            at += 4;
            return unit;
        } catch (NumberFormatException e) {
            throw fault("has a bad escape");
        }
    }
}
