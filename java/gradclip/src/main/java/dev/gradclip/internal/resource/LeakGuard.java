// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.resource;

import java.lang.ref.Cleaner;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Lets go of what an object holds outside the heap, when it is closed or, with a report, when it is collected without
 * that; {@code -Ddev.gradclip.leaks=trace} says where it came from.
 */
public final class LeakGuard {
    /** A guard of nothing, for objects that hold nothing. */
    public static final LeakGuard NONE = unwatched(() -> {});

    private static final boolean TRACE = "trace".equals(System.getProperty("dev.gradclip.leaks"));

    private static final Watch WATCH = new Watch(Cleaner::create);

    private final Cleaner.@Nullable Cleanable cleanable;
    private final Report report;

    private LeakGuard(Report report, Cleaner.@Nullable Cleanable cleanable) {
        this.report = report;
        this.cleanable = cleanable;
    }

    /**
     * Watches an object from now on; {@code release} must not refer to it. Where no thread can be had for that, the
     * object goes unwatched.
     */
    public static LeakGuard watch(Object object, String what, Runnable release) {
        return watch(WATCH.cleaner(), object, what, release);
    }

    public static LeakGuard watch(@Nullable Cleaner cleaner, Object object, String what, Runnable release) {
        if (cleaner == null) return unwatched(release);
        Report report = new Report(what, release, TRACE ? new Throwable("created here") : null);
        return new LeakGuard(report, cleaner.register(object, report));
    }

    /** A guard that reports nothing and releases when it is closed, for objects that live for one call. */
    public static LeakGuard unwatched(Runnable release) {
        return new LeakGuard(new Report("", release, null), null);
    }

    /** It need not be reported any more, though it is let go of later. */
    void unreported() {
        report.reported = true;
    }

    /** It was closed as it should be; to be called once. */
    public void closed() {
        unreported();
        if (cleanable != null) cleanable.clean();
        else report.run();
    }

    /** The cleaner, made when it is first needed; where that fails it is tried again the next time. */
    public static final class Watch {
        private final Supplier<Cleaner> source;
        private volatile @Nullable Cleaner made;

        public Watch(Supplier<Cleaner> source) {
            this.source = source;
        }

        public @Nullable Cleaner cleaner() {
            Cleaner cleaner = made;
            return cleaner == null ? make() : cleaner;
        }

        private synchronized @Nullable Cleaner make() {
            Cleaner cleaner = made;
            if (cleaner != null) return cleaner;
            try {
                cleaner = source.get();
                made = cleaner;
            } catch (OutOfMemoryError e) {
                // No thread can be started at the moment.
            }
            return cleaner;
        }
    }

    private static final class Report implements Runnable {
        private final String what;
        private final Runnable release;
        private final @Nullable Throwable origin;
        private volatile boolean reported;

        Report(String what, Runnable release, @Nullable Throwable origin) {
            this.what = what;
            this.release = release;
            this.origin = origin;
        }

        @Override
        public void run() {
            if (!reported) report();
            release.run();
        }

        private void report() {
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
