// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.update;

import dev.gradclip.DType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * The state of updates in a safetensors file: eight bytes with the header's length, a header in JSON, then the tensors'
 * bytes. https://github.com/huggingface/safetensors tells the format.
 */
public final class StateFile {
    private static final String FORM = "gradclip.update";
    private static final long MOST_HEADER = 100_000_000;

    /** A tensor in a file. */
    record Entry(String dtype, List<Object> shape, long from, long to) {}

    private final Path file;
    private final StateForm form;
    private final Map<String, Entry> entries;
    private final long data;

    private StateFile(Path file, StateForm form, Map<String, Entry> entries, long data) {
        this.file = file;
        this.form = form;
        this.entries = entries;
        this.data = data;
    }

    /** The form of the state. */
    public StateForm form() {
        return form;
    }

    // ---- save -------------------------------------------------------------------------------------------------------

    /** Writes the state of updates. */
    public static void save(Path file, List<String> names, IntToLongFunction length, UpdateMemory updates)
            throws IOException {
        replace(file, channel -> {
            write(channel, header(names, length, updates));
            Progress steps = updates.progress();
            for (int i = 0; i < names.size(); i++) {
                ByteBuffer progress = ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN);
                progress.putLong(steps.steps(i));
                progress.putDouble(steps.power1(i)).putDouble(steps.power2(i));
                write(channel, progress.flip());
                for (int slot = 0; slot < updates.slots(i); slot++) {
                    for (ByteBuffer buffer : updates.read(slot, i)) write(channel, buffer);
                }
            }
        });
    }

    /** Writes what a file holds. */
    public interface Content {
        /** Writes it into the file, which is empty. */
        void writeTo(FileChannel channel) throws IOException;
    }

    /** Writes a file beside the one that is replaced, and moves it there once all of it is on the disk. */
    public static void replace(Path file, Content content) throws IOException {
        Path target = file.toAbsolutePath();
        Path folder = target.getParent();
        if (folder == null) throw new IOException(file + ": is no file that can be written");
        Path temporary = Files.createTempFile(folder, "." + target.getFileName(), ".tmp");
        try {
            try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.WRITE)) {
                content.writeTo(channel);
                channel.force(true);
            }
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    /** Writes all bytes that a buffer has left. */
    public static void write(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) channel.write(bytes);
    }

    private static ByteBuffer header(List<String> names, IntToLongFunction length, UpdateMemory updates) {
        StringBuilder json = new StringBuilder("{\"__metadata__\":{\"" + FORM + "\":");
        Json.write(json, updates.form().title());
        json.append('}');
        long at = 0;
        for (int i = 0; i < names.size(); i++) {
            at = entry(json, names.get(i) + ".step", "I64", "", at, 8);
            at = entry(json, names.get(i) + ".beta_products", "F64", "2", at, 16);
            for (int slot = 0; slot < updates.slots(i); slot++) {
                DType dtype = updates.dtype(i);
                long bytes = length.applyAsLong(i) * dtype.bytes();
                String shape = Long.toString(length.applyAsLong(i));
                at = entry(json, names.get(i) + "." + updates.form().slot(slot), name(dtype), shape, at, bytes);
            }
        }
        return header(json.append('}'));
    }

    /** A header with its length; tensors begin at a multiple of 8, as other writers have it. */
    static ByteBuffer header(CharSequence json) {
        byte[] text = json.toString().getBytes(StandardCharsets.UTF_8);
        int padded = Math.addExact(text.length, 7) & ~7;
        ByteBuffer header = ByteBuffer.allocate(8 + padded).order(ByteOrder.LITTLE_ENDIAN);
        header.putLong(padded).put(text);
        while (header.hasRemaining()) header.put((byte) ' ');
        return header.flip();
    }

    /** Adds a tensor to a header; returns where the next one begins. */
    static long entry(StringBuilder json, String name, String dtype, String shape, long at, long bytes) {
        json.append(',');
        Json.write(json, name);
        json.append(":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" + at + ","
                + (at + bytes) + "]}");
        return at + bytes;
    }

    private static String name(DType dtype) {
        return dtype == DType.FLOAT64 ? "F64" : "F32";
    }

    // ---- load -------------------------------------------------------------------------------------------------------

    /** Reads a file's header. */
    public static StateFile open(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            ByteBuffer size = read(channel, 0, 8, file);
            long header = size.getLong(0);
            if (header < 2 || header > MOST_HEADER || header > channel.size() - 8) {
                throw new IOException(file + ": is no safetensors file; its header would have " + header + " bytes");
            }
            String json = StandardCharsets.UTF_8
                    .decode(read(channel, 8, (int) header, file))
                    .toString();
            Map<String, Object> top = header(json, file);
            StateForm form = form(top.remove("__metadata__"));
            if (form == null) throw new IOException(file + ": holds no state of gradclip's updates");
            Map<String, Entry> entries = new LinkedHashMap<>();
            for (Map.Entry<String, Object> one : top.entrySet()) {
                entries.put(one.getKey(), entry(file, one.getKey(), one.getValue(), channel.size() - 8 - header));
            }
            return new StateFile(file, form, entries, 8 + header);
        }
    }

    /** Parses a header; the source is told where that can't be. */
    static Map<String, Object> header(String json, Object source) throws IOException {
        try {
            return Json.object(json);
        } catch (IllegalArgumentException e) {
            throw new IOException(source + ": its header is malformed: " + e.getMessage(), e);
        }
    }

    private static @Nullable StateForm form(@Nullable Object metadata) {
        if (!(metadata instanceof Map<?, ?> map)) return null;
        return StateForm.titled(map.get(FORM));
    }

    /** What a header says of a tensor, whose bytes are among so many. */
    static Entry entry(Object source, String name, Object value, long most) throws IOException {
        if (value instanceof Map<?, ?> map
                && map.get("dtype") instanceof String dtype
                && map.get("shape") instanceof List<?> shape
                && map.get("data_offsets") instanceof List<?> offsets
                && offsets.size() == 2
                && offsets.get(0) instanceof Long from
                && offsets.get(1) instanceof Long to
                && from >= 0
                && from <= to
                && to <= most) {
            return new Entry(dtype, new ArrayList<>(shape), from, to);
        }
        throw malformed(source, name);
    }

    static IOException malformed(Object source, String name) {
        return new IOException(source + ": what it says of '" + name + "' is malformed, or reaches beyond its end");
    }

    private static ByteBuffer read(FileChannel channel, long at, int bytes, Path file) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
        fill(channel, at, buffer, file);
        return buffer.flip();
    }

    private static void fill(FileChannel channel, long at, ByteBuffer buffer, Path file) throws IOException {
        long next = at;
        while (buffer.hasRemaining()) {
            int n = channel.read(buffer, next);
            if (n < 0) throw new IOException(file + ": is truncated");
            next += n;
        }
    }

    /** Loads the state of these tensors; checks all of them before the first is changed. */
    public void load(List<String> names, IntToLongFunction length, UpdateMemory updates) throws IOException {
        int expected = 0;
        for (int i = 0; i < names.size(); i++) {
            expected += 2 + updates.slots(i);
            require(names.get(i) + ".step", names.get(i), "I64", 8, 1);
            require(names.get(i) + ".beta_products", names.get(i), "F64", 16, 2);
            for (int slot = 0; slot < updates.slots(i); slot++) {
                DType dtype = updates.dtype(i);
                long elements = length.applyAsLong(i);
                require(
                        names.get(i) + "." + form.slot(slot),
                        names.get(i),
                        name(dtype),
                        elements * dtype.bytes(),
                        elements);
            }
        }
        if (entries.size() != expected) {
            throw new IllegalArgumentException(file + ": holds " + entries.size() + " tensors, but the clipper's "
                    + names.size() + " have " + expected);
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            Progress progress = updates.progress();
            for (int i = 0; i < names.size(); i++) load(channel, names.get(i), i, updates, progress);
            updates.progressSet();
        }
    }

    private void load(FileChannel channel, String name, int tensor, UpdateMemory updates, Progress progress)
            throws IOException {
        ByteBuffer steps = read(channel, at(name + ".step"), 8, file);
        ByteBuffer products = read(channel, at(name + ".beta_products"), 16, file);
        for (int slot = 0; slot < updates.slots(tensor); slot++) {
            List<ByteBuffer> buffers = updates.read(slot, tensor);
            long next = at(name + "." + form.slot(slot));
            for (ByteBuffer buffer : buffers) {
                int bytes = buffer.remaining();
                fill(channel, next, buffer, file);
                buffer.flip();
                next += bytes;
            }
            updates.written(slot, tensor, buffers);
        }
        progress.set(tensor, steps.getLong(0), products.getDouble(0), products.getDouble(8));
    }

    private long at(String entry) {
        Entry found = entries.get(entry);
        if (found == null) throw new IllegalArgumentException(file + ": there is no '" + entry + "'");
        return data + found.from;
    }

    private void require(String entry, String tensor, String dtype, long bytes, long elements) {
        Entry found = entries.get(entry);
        if (found == null) {
            throw new IllegalArgumentException(file + ": holds no state of " + tensor + "; '" + entry + "' is missing");
        }
        if (!found.dtype.equals(dtype) || found.to - found.from != bytes) {
            throw new IllegalArgumentException(file + ": '" + entry + "' has " + found.shape + " elements of "
                    + found.dtype + ", but the state of " + tensor + " has " + elements + " of " + dtype);
        }
    }
}
