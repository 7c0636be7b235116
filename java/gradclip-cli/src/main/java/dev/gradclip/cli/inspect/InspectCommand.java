// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

import dev.gradclip.Backend;
import dev.gradclip.cli.safetensors.Exclusion;
import dev.gradclip.cli.safetensors.SafetensorsFile;
import dev.gradclip.cli.shell.ExitCode;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.Progress;
import dev.gradclip.cli.shell.Subcommand;
import dev.gradclip.cli.shell.Terminal;
import java.io.IOException;
import java.nio.file.Path;
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
        },
        exitCodeList = {
            "0:done",
            "2:wrong usage, or IN is malformed or not there",
            "3:reading failed, an internal error"
        })
@SuppressWarnings("NullAway.Init") // picocli sets what is required before it calls
public final class InspectCommand extends Subcommand {
    @Parameters(paramLabel = "IN", description = "safetensors file of gradients")
    private Path in;

    @Mixin
    private final Exclusion exclusion = new Exclusion();

    @Option(
            names = "--sort",
            paramLabel = "share|file",
            description = "the text's order: the largest share of the norm first, or as in the file (default: share)")
    private InspectOrder sort = InspectOrder.SHARE;

    @Option(names = "--format", paramLabel = "text|json", description = "how to report (default: text)")
    private Format format = Format.TEXT;

    public InspectCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    public Integer call() throws IOException {
        try (SafetensorsFile file = SafetensorsFile.open(in);
                FileInspection inspection = new FileInspection(Backend.preferred())) {
            try (Progress progress =
                    Progress.of(terminal, "inspect", file.header().dataBytes(), 1)) {
                inspection.run(file, exclusion.rest(file), progress);
            }
            int excluded = file.header().tensors().size() - inspection.tensors().size();
            new InspectReport(in, inspection.tensors(), inspection.total(), excluded, sort).print(terminal, format);
        }
        return ExitCode.DONE;
    }
}
