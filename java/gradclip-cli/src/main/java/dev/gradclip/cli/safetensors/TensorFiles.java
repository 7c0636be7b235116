// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.Printable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The tensors of one safetensors file, or of the shards that an index lists, as one list. */
public final class TensorFiles implements AutoCloseable {
    private final Path path;
    private final @Nullable ShardIndex index;
    private final List<SafetensorsFile> files = new ArrayList<>();
    private final List<TensorEntry> tensors = new ArrayList<>();
    private final Map<String, SafetensorsFile> fileOf = new HashMap<>();

    private TensorFiles(Path path, @Nullable ShardIndex index) {
        this.path = path;
        this.index = index;
    }

    /**
     * Opens a file, or, where its name ends in {@code .json}, the shards that it lists.
     *
     * @throws BadFileException if a file is not there or malformed, or index and shards do not agree
     */
    public static TensorFiles open(Path path) throws IOException {
        ShardIndex index = ShardIndex.isIndex(path) ? ShardIndex.read(path) : null;
        TensorFiles opened = new TensorFiles(path, index);
        try {
            List<Path> paths = index == null ? List.of(path) : index.shards();
            for (Path one : paths) opened.add(SafetensorsFile.open(one));
            if (index != null) index.requireTensors(opened.fileOf);
            return opened;
        } catch (IOException | RuntimeException | Error e) {
            opened.close();
            throw e;
        }
    }

    private void add(SafetensorsFile file) throws BadFileException {
        files.add(file);
        for (TensorEntry tensor : file.header().tensors()) {
            SafetensorsFile other = fileOf.put(tensor.name(), file);
            if (other != null) {
                throw new BadFileException(path + ": tensor " + Printable.quoted(tensor.name()) + " is in "
                        + other.path().getFileName() + " and in "
                        + file.path().getFileName());
            }
            tensors.add(tensor);
        }
    }

    /** The path that the user named. */
    public Path path() {
        return path;
    }

    /** The index, or null for a single file. */
    public @Nullable ShardIndex index() {
        return index;
    }

    /** The files, in the order in which the index first names them. */
    public List<SafetensorsFile> files() {
        return files;
    }

    /** The tensors of all files, in the order of their data. */
    public List<TensorEntry> tensors() {
        return tensors;
    }

    /** How many bytes the tensors have. */
    public long dataBytes() {
        long bytes = 0;
        for (SafetensorsFile file : files) bytes += file.header().dataBytes();
        return bytes;
    }

    /** Reads a tensor in pieces: {@link SafetensorsFile#forEachPiece(TensorEntry, int, SafetensorsFile.PieceConsumer)}. */
    public void forEachPiece(TensorEntry tensor, int rows, SafetensorsFile.PieceConsumer consumer) throws IOException {
        SafetensorsFile file = fileOf.get(tensor.name());
        if (file == null) throw new IllegalArgumentException("no tensor " + tensor.name());
        file.forEachPiece(tensor, rows, consumer);
    }

    /** Fails if a file was written since it was opened: {@link SafetensorsFile#requireUnchanged}. */
    public void requireUnchanged() throws IOException {
        for (SafetensorsFile file : files) file.requireUnchanged();
    }

    @Override
    public void close() throws IOException {
        IOException failed = null;
        for (SafetensorsFile file : files) {
            try {
                file.close();
            } catch (IOException e) {
                failed = e;
            }
        }
        if (failed != null) throw failed;
    }
}
