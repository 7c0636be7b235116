// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;

/** The bundled gradients of real backward passes, and their known norms and results. */
final class RealGradients {
    private static final ObjectMapper JSON = new ObjectMapper();

    private RealGradients() {}

    /** Returns the norms and clipping cases of one file. */
    static JsonNode expected(String file) {
        try {
            return JSON.readTree(resource("expected.json")).required(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Reads every tensor of a file into fresh direct memory, in the file's order of names. */
    static Map<String, HostBuffer> read(String file) {
        ByteBuffer bytes = ByteBuffer.wrap(resource(file + ".safetensors")).order(ByteOrder.LITTLE_ENDIAN);
        int header = Math.toIntExact(bytes.getLong());
        Map<String, HostBuffer> tensors = new LinkedHashMap<>();
        JsonNode entries;
        try {
            entries = JSON.readTree(bytes.array(), 8, header);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        for (Map.Entry<String, JsonNode> entry : entries.properties()) {
            if (entry.getKey().equals("__metadata__")) continue;
            JsonNode offsets = entry.getValue().required("data_offsets");
            int from = 8 + header + offsets.required(0).intValue();
            int length = 8 + header + offsets.required(1).intValue() - from;
            ByteBuffer memory = ByteBuffer.allocateDirect(length).order(ByteOrder.LITTLE_ENDIAN);
            memory.put(0, bytes.array(), from, length);
            DType dtype = dtype(entry.getValue().required("dtype").textValue());
            tensors.put(entry.getKey(), HostBuffer.wrap(memory, dtype));
        }
        return tensors;
    }

    private static DType dtype(String name) {
        return switch (name) {
            case "F64" -> DType.FLOAT64;
            case "F32" -> DType.FLOAT32;
            case "F16" -> DType.FLOAT16;
            case "BF16" -> DType.BFLOAT16;
            default -> throw new IllegalArgumentException(name);
        };
    }

    /** Returns a number, or infinity for "inf". */
    static double number(JsonNode node) {
        return node.isTextual() ? Double.POSITIVE_INFINITY : node.doubleValue();
    }

    private static byte[] resource(String name) {
        try (InputStream in = RealGradients.class.getResourceAsStream("/gradients/" + name)) {
            if (in == null) throw new AssertionError("no resource " + name);
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
