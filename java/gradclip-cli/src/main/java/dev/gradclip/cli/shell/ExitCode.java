// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

/** The exit codes of the command. */
public final class ExitCode {
    public static final int DONE = 0;

    /** A gradient is not finite and {@code --non-finite} does not say to go on. */
    public static final int NON_FINITE = 1;

    /** Wrong usage, or a file that cannot be taken as it is. */
    public static final int USAGE = 2;

    /** Input or output failed, a backend is not available, or an internal error. */
    public static final int FAILURE = 3;

    /** A backend gives other bits than plain Java. */
    public static final int DIFFERENT = 4;

    private ExitCode() {}
}
