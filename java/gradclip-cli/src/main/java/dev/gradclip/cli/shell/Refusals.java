// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The base of a command and of options that are mixed into one: it refuses wrong usage in the command's name. */
public abstract class Refusals {
    @Spec
    private @Nullable CommandSpec own;

    @Spec(Spec.Target.MIXEE)
    private @Nullable CommandSpec mixee;

    /** Returns the exception to throw where options are wrong, alone or together. */
    protected final ParameterException usage(String message) {
        return usage(message, null);
    }

    private ParameterException usage(String message, @Nullable Throwable cause) {
        CommandSpec command = mixee != null ? mixee : own;
        if (command == null) throw new IllegalStateException("options used outside a command", cause);
        return new ParameterException(command.commandLine(), message, cause);
    }

    /** Reads what was given; an IllegalArgumentException becomes a refusal in the same words. */
    protected final <A, T> T checked(Function<A, T> read, A given) {
        try {
            return read.apply(given);
        } catch (IllegalArgumentException e) {
            throw usage(String.valueOf(e.getMessage()), e);
        }
    }
}
