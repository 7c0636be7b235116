// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.update;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** Histories of rules as the bytes of a safetensors file: a tensor of FLOAT64 for each. */
public final class HistoryFile {
    private static final String TITLE = "gradclip.history";

    private HistoryFile() {}

    /** Writes histories, by the name of what each is of. */
    public static byte[] write(Map<String, double[]> histories) {
        StringBuilder json = new StringBuilder("{\"__metadata__\":{\"" + TITLE + "\":\"1\"}");
        long at = 0;
        for (Map.Entry<String, double[]> history : histories.entrySet()) {
            int length = history.getValue().length;
            at = StateFile.entry(json, history.getKey(), "F64", Integer.toString(length), at, 8L * length);
        }
        ByteBuffer header = StateFile.header(json.append('}'));
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(header.remaining() + at))
                .order(ByteOrder.LITTLE_ENDIAN)
                .put(header);
        for (double[] history : histories.values()) for (double value : history) bytes.putDouble(value);
        return bytes.array();
    }

    /**
     * Reads histories.
     *
     * @throws IOException if the bytes are no histories of gradclip, or end too early
     */
    public static Map<String, double[]> read(byte[] file, String name) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        long size = file.length < 8 ? -1 : bytes.getLong(0);
        if (size < 2 || size > file.length - 8) throw new IOException(name + ": is no safetensors file");
        int data = 8 + (int) size;
        Map<String, Object> top = StateFile.header(new String(file, 8, (int) size, StandardCharsets.UTF_8), name);
        if (!(top.remove("__metadata__") instanceof Map<?, ?> metadata) || !"1".equals(metadata.get(TITLE))) {
            throw new IOException(name + ": holds no history of a gradclip rule");
        }
        Map<String, double[]> histories = new LinkedHashMap<>();
        for (Map.Entry<String, Object> entry : top.entrySet()) {
            StateFile.Entry found = StateFile.entry(name, entry.getKey(), entry.getValue(), file.length - data);
            long length = found.to() - found.from();
            if (!found.dtype().equals("F64") || length % 8 != 0) throw StateFile.malformed(name, entry.getKey());
            double[] values = new double[(int) length / 8];
            for (int i = 0; i < values.length; i++) values[i] = bytes.getDouble(data + (int) found.from() + 8 * i);
            histories.put(entry.getKey(), values);
        }
        return histories;
    }
}
