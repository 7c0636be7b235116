// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import dev.gradclip.ClipListener;
import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.demo.Clipping;
import dev.gradclip.report.RunRecorder;
import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The run files of {@code gradclip demo --record}: one for each way to clip the digits, with the norms of tensors. */
final class DemoRecords implements Closeable {
    private final Map<String, RunRecorder> recorders = new LinkedHashMap<>();
    private final List<Path> files = new ArrayList<>();

    private DemoRecords() {}

    /**
     * Makes the files, before any work is done.
     *
     * @throws BadFileException if one is there and not to be replaced
     */
    static DemoRecords of(Path folder, List<Clipping> clippings, boolean force) throws IOException {
        if (Files.exists(folder) && !Files.isDirectory(folder)) {
            throw new BadFileException(folder + ": --record takes a folder, and this is a file");
        }
        Files.createDirectories(folder);
        DemoRecords records = new DemoRecords();
        try {
            for (Clipping clipping : clippings) records.add(folder, clipping.name(), force);
            return records;
        } catch (IOException | RuntimeException | Error e) {
            records.close();
            throw e;
        }
    }

    private void add(Path folder, String name, boolean force) throws IOException {
        Path file = folder.resolve("digits-" + name.replace(' ', '-') + ".jsonl");
        if (force) Files.deleteIfExists(file);
        try {
            recorders.put(name, RunRecorder.builder(file).tensorNorms().open());
            files.add(file);
        } catch (FileAlreadyExistsException e) {
            throw new BadFileException(
                    file + ": is there already; --record DIR writes elsewhere, --force replaces it", e);
        }
    }

    ClipListener listener(Clipping clipping) {
        RunRecorder recorder = recorders.get(clipping.name());
        if (recorder == null) throw new IllegalStateException(clipping.name() + " is not recorded");
        return recorder;
    }

    List<Path> files() {
        return files;
    }

    @Override
    public void close() throws IOException {
        IOException failure = null;
        for (RunRecorder recorder : recorders.values()) {
            try {
                recorder.close();
            } catch (IOException | UncheckedIOException e) {
                failure = new IOException(e.getMessage(), e);
            }
        }
        if (failure != null) throw failure;
    }
}
