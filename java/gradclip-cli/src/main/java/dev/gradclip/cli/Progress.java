// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** A bar on standard error while a long file is read and written, or something long is measured, if someone watches. */
final class Progress implements AutoCloseable {
    /** Below it a command ends before a bar is of use. */
    private static final long LONG_FILE = 256L << 20;

    private static final int WIDTH = 79;

    private final @Nullable ProgressBar bar;

    private Progress(@Nullable ProgressBar bar) {
        this.bar = bar;
    }

    /**
     * A bar over all the bytes that will pass.
     *
     * @param fileBytes size of the file
     * @param passes how often its bytes pass
     */
    static Progress of(Terminal terminal, String task, long fileBytes, int passes) {
        if (!terminal.progress() || fileBytes < LONG_FILE) return new Progress(null);
        return new Progress(bar(terminal, task)
                .setInitialMax(fileBytes * passes)
                .setUnit(" MiB", 1 << 20)
                .build());
    }

    /** A bar over so many steps. */
    static Progress ofSteps(Terminal terminal, String task, int steps) {
        if (!terminal.progress()) return new Progress(null);
        return new Progress(bar(terminal, task).setInitialMax(steps).build());
    }

    /** A bar that tells how much of a whole is done, in hundredths. */
    static Progress ofWork(Terminal terminal, String task, long whole) {
        if (!terminal.progress()) return new Progress(null);
        return new Progress(bar(terminal, task)
                .setInitialMax(whole)
                .setUnit("", Math.max(1, whole / 100))
                .build());
    }

    private static ProgressBarBuilder bar(Terminal terminal, String task) {
        return new ProgressBarBuilder()
                .setTaskName(task)
                .setStyle(ProgressBarStyle.ASCII)
                .setConsumer(new DelegatingProgressBarConsumer(
                        text -> {
                            terminal.err().print('\r' + text);
                            terminal.err().flush();
                        },
                        WIDTH))
                .clearDisplayOnFinish();
    }

    void advance(long by) {
        if (bar != null) bar.stepBy(by);
    }

    @Override
    public void close() {
        if (bar != null) bar.close();
    }
}
