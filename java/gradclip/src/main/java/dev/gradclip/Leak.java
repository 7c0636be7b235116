// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.lang.ref.Cleaner;
import org.jspecify.annotations.Nullable;

/** Reports an object that was collected without having been closed; {@code -Ddev.gradclip.leaks=trace} says where it came from. */
final class Leak {
    /** For what needs no watching. */
    static final Leak NONE = new Leak(null);

    private static final boolean TRACE = "trace".equals(System.getProperty("dev.gradclip.leaks"));

    private final Cleaner.@Nullable Cleanable cleanable;
    private final @Nullable Report report;

    private Leak(@Nullable Report report, Object watched) {
        this.report = report;
        cleanable = report == null ? null : Cleaners.CLEANER.register(watched, report);
    }

    private Leak(@Nullable Report report) {
        this(report, new Object());
    }

    /** Watches an object from now on. */
    static Leak watch(Object object, String what) {
        return new Leak(new Report(what, TRACE ? new Throwable("created here") : null), object);
    }

    /** It was closed as it should be. */
    void closed() {
        if (report != null) report.closed = true;
        if (cleanable != null) cleanable.clean();
    }

    private static final class Cleaners {
        static final Cleaner CLEANER = Cleaner.create();
    }

    private static final class Report implements Runnable {
        private final String what;
        private final @Nullable Throwable origin;
        private volatile boolean closed;

        Report(String what, @Nullable Throwable origin) {
            this.what = what;
            this.origin = origin;
        }

        @Override
        public void run() {
            if (closed) return;
            System.getLogger("dev.gradclip")
                    .log(
                            System.Logger.Level.WARNING,
                            what + " was garbage collected without close(); use try-with-resources"
                                    + (origin == null
                                            ? ", or run with -Ddev.gradclip.leaks=trace to see where it came from"
                                            : ""),
                            origin);
        }
    }
}
