// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import dev.gradclip.Backend;
import dev.gradclip.StreamingClip;
import dev.gradclip.cli.rules.RuleOptions;
import dev.gradclip.cli.rules.RuleSelection;
import dev.gradclip.cli.rules.ThresholdOptions;
import dev.gradclip.cli.safetensors.Exclusion;
import dev.gradclip.cli.safetensors.TensorFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongConsumer;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** Clips IN into OUT by options of the command, says "stuck" when part of OUT is written, and stays there. */
public final class StuckClip {
    private StuckClip() {}

    @Command
    private static final class Options {
        @Mixin
        private final ThresholdOptions threshold = new ThresholdOptions();

        @Mixin
        private final RuleOptions rule = new RuleOptions();
    }

    public static void main(String[] arguments) throws IOException {
        Path out = Path.of(arguments[1]);
        String[] options = Arrays.copyOfRange(arguments, 2, arguments.length);
        clip(Path.of(arguments[0]), out, whenPartIsWritten(out, StuckClip::stay), options);
    }

    private static void stay() {
        System.out.println("stuck");
        while (true) LockSupport.park();
    }

    static void clip(Path in, Path out, LongConsumer progress, String... options) throws IOException {
        Options parsed = new Options();
        new CommandLine(parsed).parseArgs(options);
        RuleSelection selection = parsed.rule.selection(parsed.threshold);
        try (TensorFiles file = TensorFiles.open(in);
                StreamingClip clip = StreamingClip.of(selection.rule(), Backend.JAVA, 1)) {
            new FileClip(file, null, ClipOutput.of(out, file), selection, new Exclusion()).run(clip, progress);
        }
    }

    /** Does something once, when one piece of OUT has been written and the next has been read. */
    static LongConsumer whenPartIsWritten(Path out, Runnable what) {
        int[] pieces = {0};
        return bytes -> {
            if (isBeingWritten(out) && ++pieces[0] == 2) what.run();
        };
    }

    static boolean isBeingWritten(Path out) {
        try (var files = Files.newDirectoryStream(out.resolveSibling(""), ".gradclip-*.tmp")) {
            return files.iterator().hasNext();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
