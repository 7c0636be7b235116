// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.Printable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;

/**
 * The index of a checkpoint in several safetensors files, as Hugging Face's libraries write it ({@code
 * model.safetensors.index.json}): {@code weight_map} tells the file of each tensor.
 */
public final class ShardIndex {
    private static final String WEIGHT_MAP = "weight_map";
    private static final long MOST_BYTES = 100_000_000;
    private static final JsonFactory JSON = new JsonFactory();

    private final Path path;
    private final byte[] bytes;
    private final Map<String, String> fileOf;

    private ShardIndex(Path path, byte[] bytes, Map<String, String> fileOf) {
        this.path = path;
        this.bytes = bytes;
        this.fileOf = fileOf;
    }

    static boolean isIndex(Path path) {
        Path name = path.getFileName();
        return name != null && name.toString().endsWith(".json");
    }

    static ShardIndex read(Path path) throws IOException {
        byte[] bytes;
        try {
            if (Files.size(path) > MOST_BYTES)
                throw new BadFileException(path + ": is too large for an index of shards");
            bytes = Files.readAllBytes(path);
        } catch (BadFileException e) {
            throw e;
        } catch (IOException e) {
            throw SafetensorsFile.unreadable(path, e);
        }
        try (JsonParser json = JSON.createParser(bytes)) {
            Map<String, String> fileOf = weightMap(path, json);
            if (fileOf.isEmpty()) throw new BadFileException(path + ": lists no tensors under \"" + WEIGHT_MAP + "\"");
            return new ShardIndex(path, bytes, fileOf);
        } catch (JsonProcessingException e) {
            throw new BadFileException(
                    path + ": is no JSON; expected an index of shards, such as" + " model.safetensors.index.json", e);
        }
    }

    private static Map<String, String> weightMap(Path path, JsonParser json) throws IOException {
        if (json.nextToken() != JsonToken.START_OBJECT) {
            throw new BadFileException(
                    path + ": is no index of shards, which is an object with \"" + WEIGHT_MAP + "\"");
        }
        Map<String, String> fileOf = new LinkedHashMap<>();
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            boolean isMap = json.currentName().equals(WEIGHT_MAP);
            json.nextToken();
            if (!isMap) {
                json.skipChildren();
                continue;
            }
            if (json.currentToken() != JsonToken.START_OBJECT) {
                throw new BadFileException(path + ": \"" + WEIGHT_MAP + "\" must tell the file of each tensor");
            }
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String tensor = json.currentName();
                if (json.nextToken() != JsonToken.VALUE_STRING || !isPlain(json.getText())) {
                    throw new BadFileException(path + ": the file of tensor " + Printable.quoted(tensor)
                            + " must be the name of a file beside the index");
                }
                if (fileOf.put(tensor, json.getText()) != null) {
                    throw new BadFileException(path + ": tensor " + Printable.quoted(tensor) + " is listed twice");
                }
            }
        }
        return fileOf;
    }

    /** A name that leads to no other folder. */
    private static boolean isPlain(String name) {
        return !name.isEmpty()
                && !name.equals(".")
                && !name.equals("..")
                && name.chars().noneMatch(c -> c == '/' || c == '\\' || c == 0);
    }

    /** The index, byte by byte. */
    public byte[] bytes() {
        return bytes.clone();
    }

    /** The shards, each once, in the order in which the index first names them. */
    List<Path> shards() {
        List<Path> shards = new ArrayList<>();
        for (String name : new LinkedHashSet<>(fileOf.values())) shards.add(path.resolveSibling(name));
        return shards;
    }

    /** Refuses an index that does not list what is in the files. */
    void requireTensors(Map<String, SafetensorsFile> found) throws BadFileException {
        for (Map.Entry<String, String> listed : fileOf.entrySet()) {
            SafetensorsFile file = found.get(listed.getKey());
            if (file != null && String.valueOf(file.path().getFileName()).equals(listed.getValue())) continue;
            throw new BadFileException(path + ": tensor " + Printable.quoted(listed.getKey()) + " is not in "
                    + Printable.quoted(listed.getValue()));
        }
        for (Map.Entry<String, SafetensorsFile> one : found.entrySet()) {
            if (fileOf.containsKey(one.getKey())) continue;
            throw new BadFileException(path + ": does not list tensor " + Printable.quoted(one.getKey()) + " of "
                    + one.getValue().path().getFileName());
        }
    }
}
