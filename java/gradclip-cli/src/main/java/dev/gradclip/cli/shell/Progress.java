// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.util.concurrent.atomic.AtomicLong;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** A bar on standard error while a long file is read and written, or something long is measured, if someone watches. */
public final class Progress implements AutoCloseable {
    /** The bytes of a long file; with fewer a command ends before a bar is of use. */
    private static final long LONG_FILE = 256L << 20;

    private static final int WIDTH = 79;

    private final @Nullable ProgressBar bar;
    private final long grain;
    private final AtomicLong done = new AtomicLong();

    /** Sets the grain of the bar, which divides the time by its count, in whole nanoseconds: billions leave none. */
    private Progress(@Nullable ProgressBar bar, long grain) {
        this.bar = bar;
        this.grain = grain;
    }

    /**
     * A bar over all the bytes that will pass.
     *
     * @param fileBytes size of the file
     * @param passes how often its bytes pass
     */
    public static Progress of(Terminal terminal, String task, long fileBytes, int passes) {
        if (!terminal.progress() || fileBytes < LONG_FILE) return new Progress(null, 1);
        return new Progress(
                bar(terminal, task)
                        .setInitialMax((fileBytes * passes) >> 20)
                        .setUnit(" MiB", 1)
                        .build(),
                1 << 20);
    }

    /** A bar over so many steps. */
    public static Progress ofSteps(Terminal terminal, String task, int steps) {
        if (!terminal.progress()) return new Progress(null, 1);
        return new Progress(bar(terminal, task).setInitialMax(steps).build(), 1);
    }

    /** A bar that tells how much of a whole is done, in hundredths. */
    public static Progress ofWork(Terminal terminal, String task, long whole) {
        if (!terminal.progress()) return new Progress(null, 1);
        long grain = Math.max(1, whole / 10_000);
        return new Progress(
                bar(terminal, task)
                        .setInitialMax(whole / grain)
                        .setUnit("", Math.max(1, whole / grain / 100))
                        .build(),
                grain);
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

    public void advance(long by) {
        if (bar != null) bar.stepTo(done.addAndGet(by) / grain);
    }

    @Override
    public void close() {
        if (bar != null) bar.close();
    }
}
