// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

import dev.gradclip.Backend;
import dev.gradclip.ClipRule;
import dev.gradclip.cli.safetensors.Exclusion;
import dev.gradclip.cli.safetensors.TensorFiles;
import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.Numbers;
import dev.gradclip.cli.shell.OutputTarget;
import dev.gradclip.cli.shell.Progress;
import dev.gradclip.cli.shell.Subcommand;
import dev.gradclip.cli.shell.Terminal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.DoubleUnaryOperator;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Runs {@code gradclip inspect}. */
@Command(
        name = "inspect",
        sortOptions = false,
        description = {
            "Shows what the gradients in a safetensors file are like.",
            "Per tensor and in total: share of the norm, L2 norm, largest absolute value, share of zeros, and how many "
                    + "elements are NaN or infinite; in JSON also L1 norm and mean. A tensor's share is (its L2 norm / "
                    + "the norm over all)^2. Tensors that no rule clips are listed without."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  gradclip inspect grads.safetensors",
            "  gradclip inspect grads.safetensors --sort file",
            "  gradclip inspect grads.safetensors --format json",
            "  gradclip inspect grads.safetensors --exclude '.*_scale'",
            "  gradclip inspect grads.safetensors --plot grads.png --max-norm 1.0"
        },
        exitCodeList = {
            "0:done",
            "2:wrong usage, or IN is malformed or not there",
            "3:reading or writing failed, an internal error"
        })
@SuppressWarnings("NullAway.Init") // picocli sets what is required before it calls
public final class InspectCommand extends Subcommand {
    @Parameters(paramLabel = "IN", description = "safetensors file of gradients, or the index of several (*.json)")
    private Path in;

    @Mixin
    private final Exclusion exclusion = new Exclusion();

    @Option(
            names = "--sort",
            paramLabel = "share|file",
            description = "the text's order: the largest share of the norm first, or as in the file (default: share)")
    private InspectOrder sort = InspectOrder.SHARE;

    @Option(
            names = "--plot",
            paramLabel = "FILE",
            description =
                    "also draw, as a PNG file, how large the elements are and the share of each tensor in the norm")
    private @Nullable Path plot;

    @Option(
            names = "--max-norm",
            paramLabel = "M",
            description = "with --plot: how large they are after a clip by the global norm, too")
    private @Nullable Double maxNorm;

    @Option(
            names = "--clip-value",
            paramLabel = "V",
            description = "with --plot: how large they are when clamped to [-V, V], too")
    private @Nullable Double clipValue;

    @Option(names = "--format", paramLabel = "text|json", description = "how to report (default: text)")
    private Format format = Format.TEXT;

    public InspectCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    public Integer call() throws IOException {
        OutputTarget target = target();
        Magnitudes magnitudes = plot == null ? null : new Magnitudes();
        try (TensorFiles files = TensorFiles.open(in);
                FileInspection inspection = new FileInspection(Backend.preferred(), magnitudes)) {
            try (Progress progress = Progress.of(terminal, "inspect", files.dataBytes(), 1)) {
                inspection.run(files, exclusion.rest(files), progress);
            }
            int excluded = files.tensors().size() - inspection.tensors().size();
            new InspectReport(in, inspection.tensors(), inspection.total(), excluded, sort).print(terminal, format);
            if (target != null && magnitudes != null) {
                double norm = inspection.total().l2();
                new InspectChart(inspection.tensors(), inspection.total(), magnitudes, rule(norm), after())
                        .write(target, terminal);
            }
        }
        return ExitCode.DONE;
    }

    private @Nullable OutputTarget target() throws IOException {
        if (plot == null) {
            if (maxNorm == null && clipValue == null) return null;
            throw usage(
                    (maxNorm != null ? "--max-norm" : "--clip-value") + " is for --plot FILE; 'gradclip clip' clips");
        }
        if (maxNorm != null && clipValue != null) throw usage("--max-norm and --clip-value exclude each other");
        checkLimit("--max-norm", maxNorm);
        checkLimit("--clip-value", clipValue);
        OutputTarget target = OutputTarget.of(plot);
        if (Files.exists(in) && Files.exists(target.path()) && Files.isSameFile(in, target.path())) {
            throw new BadFileException(plot + ": is the file to inspect, which the picture would replace");
        }
        return target;
    }

    private void checkLimit(String option, @Nullable Double limit) {
        if (limit != null && !(limit >= 0)) throw usage(option + " must be 0 or more, but is " + Numbers.typed(limit));
    }

    /** What becomes of an element's magnitude; null where nothing does, or a NaN leaves no coefficient. */
    private @Nullable DoubleUnaryOperator rule(double norm) {
        if (clipValue != null) {
            double limit = clipValue;
            return size -> Math.min(size, limit);
        }
        if (maxNorm == null || !Double.isFinite(norm)) return null;
        double coefficient = Math.min(1, maxNorm / (norm + ClipRule.DEFAULT_EPSILON));
        return size -> size * coefficient;
    }

    private String after() {
        return maxNorm != null
                ? "norm clipped to " + Numbers.typed(maxNorm)
                : clipValue != null ? "clamped to ±" + Numbers.typed(clipValue) : "";
    }
}
