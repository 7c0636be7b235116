// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import dev.gradclip.cli.safetensors.SafetensorsFile;
import dev.gradclip.cli.safetensors.ShardIndex;
import dev.gradclip.cli.safetensors.TensorFiles;
import dev.gradclip.cli.shell.AtomicOutput;
import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.OutputTarget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The files that a clip writes. A single file appears whole or not at all. Of several, each appears whole, and their index
 * last: a folder with the index is complete.
 */
final class ClipOutput {
    /** Writes what becomes of one file. */
    @FunctionalInterface
    interface Writer {
        void write(SafetensorsFile file, AtomicOutput to) throws IOException;
    }

    private final OutputTarget target;
    private final List<OutputTarget> shards;

    private ClipOutput(OutputTarget target, List<OutputTarget> shards) {
        this.target = target;
        this.shards = shards;
    }

    /**
     * Finds and judges the outputs: {@link OutputTarget#of}.
     *
     * @throws BadFileException if one of several files is there already: a clip that is killed halfway could else leave a
     *     checkpoint of which some files are clipped
     */
    static ClipOutput of(Path out, TensorFiles files) throws IOException {
        if (files.index() == null) return new ClipOutput(OutputTarget.of(out), List.of());
        requireAbsent(out);
        List<OutputTarget> shards = new ArrayList<>();
        for (SafetensorsFile file : files.files()) {
            Path shard = out.resolveSibling(String.valueOf(file.path().getFileName()));
            requireAbsent(shard);
            shards.add(OutputTarget.of(shard));
        }
        return new ClipOutput(OutputTarget.of(out), shards);
    }

    private static void requireAbsent(Path path) throws BadFileException {
        if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) return;
        throw new BadFileException(
                path + ": exists; several files are clipped into a folder that has none of them, so that a clip that is"
                        + " interrupted leaves no mixture");
    }

    /** Writes all files beside their places, and puts them there when all are complete and the input is unchanged. */
    void write(TensorFiles files, Writer writer) throws IOException {
        ShardIndex index = files.index();
        if (index == null) {
            try (AtomicOutput output = AtomicOutput.create(target)) {
                writer.write(files.files().get(0), output);
                files.requireUnchanged();
                output.commit();
            }
            return;
        }
        List<AtomicOutput> outputs = new ArrayList<>();
        List<Path> placed = new ArrayList<>();
        try {
            for (int i = 0; i < shards.size(); i++) {
                AtomicOutput output =
                        i == 0 ? AtomicOutput.create(shards.get(i)) : AtomicOutput.createAnother(shards.get(i));
                outputs.add(output);
                writer.write(files.files().get(i), output);
            }
            files.requireUnchanged();
            for (int i = 0; i < shards.size(); i++) {
                requireAbsent(shards.get(i).path());
                outputs.get(i).commit();
                placed.add(shards.get(i).path());
            }
            AtomicOutput.write(target, index.bytes());
            placed.clear();
        } finally {
            // Without the index they are of no use to anybody; they were not there before.
            for (Path shard : placed) Files.deleteIfExists(shard);
            for (AtomicOutput output : outputs) output.close();
        }
    }
}
