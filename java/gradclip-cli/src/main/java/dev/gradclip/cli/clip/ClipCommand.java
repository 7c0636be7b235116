// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import dev.gradclip.Backend;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.StreamingClip;
import dev.gradclip.cli.rules.RuleOptions;
import dev.gradclip.cli.rules.RuleSelection;
import dev.gradclip.cli.rules.ThresholdOptions;
import dev.gradclip.cli.safetensors.Exclusion;
import dev.gradclip.cli.safetensors.TensorFiles;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Failures;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.NonFiniteFileException;
import dev.gradclip.cli.shell.Progress;
import dev.gradclip.cli.shell.Subcommand;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.cli.shell.WrittenException;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Runs {@code gradclip clip}. */
@Command(
        name = "clip",
        sortOptions = false,
        description = {
            "Clips the gradients in a safetensors file into another one, or into the same.",
            "Names, order, shapes, dtypes and metadata stay; tensors that are not floating point are copied. "
                    + "The output appears whole or not at all.",
            "A checkpoint of several files is clipped by one norm: IN is its index, such as "
                    + "model.safetensors.index.json, and OUT a new index in a folder that has none of its files."
        },
        customSynopsis = {
            "gradclip clip IN -o OUT --max-norm M [--norm-type 2|1|inf|P]",
            "              [--per-tensor] [--epsilon E] [OPTIONS]",
            "       gradclip clip IN -o OUT (--clip-value V | --min A --max B) [OPTIONS]",
            "       gradclip clip IN -o OUT --rule NAME --param K=V...",
            "              [--parameters FILE] [OPTIONS]",
            "       gradclip clip IN -o OUT --group 'REGEX=RULE[,K=V...]'...",
            "              [--parameters FILE] [OPTIONS]",
            "       gradclip clip IN -o OUT --rule NAME --state FILE [OPTIONS]",
            "OPTIONS: [--exclude REGEX]... [--unscale F]",
            "         [--non-finite error|skip|zero|propagate]",
            "         [--backend auto|java|native|cuda] [--threads N] [--format text|json]"
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  gradclip clip grads.safetensors -o clipped.safetensors --max-norm 1.0",
            "  gradclip clip grads.safetensors -o clipped.safetensors --max-norm 0.5 \\",
            "      --norm-type inf",
            "  gradclip clip grads.safetensors -o clipped.safetensors --max-norm 1 \\",
            "      --per-tensor --format json",
            "  gradclip clip grads.safetensors -o grads.safetensors --min -0.1 --max 0.1",
            "  gradclip clip grads.safetensors -o clipped.safetensors --rule block-rms \\",
            "      --param max-rms=0.01",
            "  gradclip clip grads.safetensors -o clipped.safetensors --rule adaptive \\",
            "      --param lambda=0.01 --parameters model.safetensors",
            "  gradclip clip grads.safetensors -o clipped.safetensors \\",
            "      --group 'output.*=value,max=100' --group '.*=value,max=10'",
            "  gradclip clip grads.safetensors -o clipped.safetensors --max-norm 1 \\",
            "      --exclude '.*_scale'",
            "  for step in step-*.safetensors; do",
            "    gradclip clip $step -o clipped-$step --rule auto-clip --state clip.state",
            "  done"
        },
        exitCodeList = {
            "0:done",
            "1:a gradient holds a NaN or an infinity, and no other --non-finite was given; OUT is not written",
            "2:wrong usage, or IN or FILE is malformed or not there",
            "3:reading or writing failed, the disk is full, the backend is not available, an internal error; the "
                    + "message says so where OUT is written all the same, and must not be clipped again"
        })
@SuppressWarnings("NullAway.Init") // picocli sets what is required before it calls
public final class ClipCommand extends Subcommand {
    @Parameters(paramLabel = "IN", description = "safetensors file of gradients, or the index of several (*.json)")
    private Path in;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "OUT",
            description = "file to write; may be IN, but for an index")
    private Path out;

    @Mixin
    private final ThresholdOptions threshold = new ThresholdOptions();

    @Mixin
    private final RuleOptions rule = new RuleOptions();

    @Option(
            names = "--state",
            paramLabel = "FILE",
            description =
                    "what the rule remembers of the files before IN: read where FILE exists, and replaced once OUT"
                            + " is written; for rules whose threshold follows from earlier norms, such as auto-clip")
    private @Nullable Path state;

    @Mixin
    private final Exclusion exclusion = new Exclusion();

    @Mixin
    private final BackendOptions work = new BackendOptions();

    @Option(names = "--format", paramLabel = "text|json", description = "how to report (default: text)")
    private Format format = Format.TEXT;

    public ClipCommand(Terminal terminal) {
        super(terminal);
    }

    private static void load(StreamingClip stream, Path state) throws IOException {
        try {
            stream.loadHistory(state);
        } catch (FileSystemException e) {
            throw e;
        } catch (IOException e) {
            throw new BadFileException(String.valueOf(e.getMessage()), e);
        }
    }

    private void requireStateInPlace(RuleSelection selection) {
        boolean remembers = selection.hasHistory();
        if (state != null && !remembers) {
            throw usage("--state is for a rule whose threshold follows from earlier norms, such as auto-clip");
        }
        if (state == null && remembers) {
            throw usage("the rule remembers the norms of earlier files: give --state FILE, which is made where it"
                    + " is not there yet");
        }
    }

    @Override
    public Integer call() throws IOException {
        RuleSelection selection = rule.selection(threshold);
        requireStateInPlace(selection);
        int threads = work.threads();
        Backend backend = work.backend();
        boolean written = false;
        try (TensorFiles files = TensorFiles.open(in);
                ParameterFile parameters =
                        selection.parameters() == null ? null : ParameterFile.open(selection.parameters())) {
            FileClip clip = new FileClip(files, parameters, ClipOutput.of(out, files), selection, exclusion);
            ClipReport report;
            try (StreamingClip stream = StreamingClip.of(selection.rule(), backend, threads);
                    Progress progress =
                            Progress.of(terminal, "clip", files.dataBytes(), stream.needsMeasure() ? 2 : 1)) {
                if (state != null && Files.exists(state)) load(stream, state);
                clip.run(stream, progress::advance);
                written = true;
                if (state != null) stream.saveHistory(state);
                report = clip.report(stream, BackendOptions.name(backend));
            }
            report.print(terminal, format);
            if (format == Format.TEXT) work.sayFallback(terminal);
            if (terminal.out().checkError()) throw new IOException(Terminal.UNWRITABLE);
        } catch (NonFiniteGradientException e) {
            throw new NonFiniteFileException(in, e);
        } catch (IllegalArgumentException e) {
            // What the state holds is of other tensors, or of another rule.
            if (state == null || written) throw e;
            throw new BadFileException(String.valueOf(e.getMessage()), e);
        } catch (IOException | RuntimeException | Error e) {
            if (!written) throw e;
            throw new WrittenException(out, Failures.message(e), e);
        }
        return ExitCode.DONE;
    }
}
