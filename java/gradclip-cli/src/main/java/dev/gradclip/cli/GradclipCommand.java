// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import dev.gradclip.cli.shell.Version;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;

/** The root command, which holds the others. */
@Command(
        name = "gradclip",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        subcommands = HelpCommand.class,
        description = "Clips gradients in safetensors files, by the rules of the libraries that train.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  gradclip demo",
            "  gradclip clip grads.safetensors -o clipped.safetensors --max-norm 1.0",
            "  gradclip rules",
            "  gradclip inspect grads.safetensors",
            "  gradclip report run.jsonl -o report.html",
            "  gradclip watch run.jsonl",
            "  gradclip bench",
            "  gradclip parity",
            "  gradclip info",
            "",
            "'gradclip help COMMAND' tells more of each command."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:done",
            "1:a gradient holds a NaN or an infinity, and no other --non-finite was given",
            "2:wrong usage, or a file that is malformed or not there",
            "3:reading or writing failed, a disk is full, a backend is not available, an internal error",
            "4:parity: a backend gives other bits than plain Java"
        })
final class GradclipCommand {}
