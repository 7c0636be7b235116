// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import dev.gradclip.Backend;
import dev.gradclip.ClipRule;
import dev.gradclip.StreamingClip;
import dev.gradclip.cli.safetensors.SafetensorsFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code gradclip clip}. */
@Command(
        name = "clip",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        sortOptions = false,
        description = {
            "Clips the gradients in a safetensors file into another one, or into the same.",
            "Names, order, shapes, dtypes and metadata stay; tensors that are not floating point are copied. "
                    + "The output appears whole or not at all."
        },
        customSynopsis = {
            "gradclip clip IN -o OUT (--max-norm M | --clip-value V | --min A --max B)",
            "              [--norm-type 2|1|inf|P] [--per-tensor] [--epsilon E] [--error-if-nonfinite]",
            "              [--backend auto|java|native|cuda] [--threads N] [--format text|json]"
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  gradclip clip grads.safetensors -o clipped.safetensors --max-norm 1.0",
            "  gradclip clip grads.safetensors -o clipped.safetensors --max-norm 0.5 --norm-type inf",
            "  gradclip clip grads.safetensors -o clipped.safetensors --max-norm 1 --per-tensor --format json",
            "  gradclip clip grads.safetensors -o grads.safetensors --min -0.1 --max 0.1"
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:done",
            "1:a gradient is not finite and --error-if-nonfinite was given; OUT is not written",
            "2:wrong usage, or IN is malformed or not there",
            "3:reading or writing failed, the disk is full, the backend is not available, an internal error"
        })
@SuppressWarnings("NullAway.Init") // picocli sets what is required before it calls
final class ClipCommand implements Callable<Integer> {
    @Parameters(paramLabel = "IN", description = "safetensors file of gradients")
    private Path in;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "OUT",
            description = "file to write; may be IN")
    private Path out;

    @Mixin
    private final RuleOptions rule = new RuleOptions();

    @Mixin
    private final BackendOptions work = new BackendOptions();

    @Option(names = "--format", paramLabel = "text|json", description = "how to report (default: text)")
    private Format format = Format.TEXT;

    private final Terminal terminal;

    ClipCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws IOException {
        ClipRule chosen = rule.rule();
        int threads = work.threads();
        Backend backend = work.backend();
        try (SafetensorsFile file = SafetensorsFile.open(in)) {
            FileClip clip = new FileClip(file, OutputTarget.of(out));
            ClipReport report;
            try (StreamingClip stream = StreamingClip.of(chosen, backend, threads);
                    Progress progress =
                            Progress.of(terminal, "clip", file.header().dataBytes(), stream.needsMeasure() ? 2 : 1)) {
                clip.run(stream, progress);
                report = clip.report(stream, chosen, rule.normType(), BackendOptions.name(backend));
            }
            report.print(terminal, format);
        }
        return ExitCode.DONE;
    }
}
