// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.resource;

import java.lang.ref.Cleaner;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Releases what an object holds outside the heap when it is closed, or when it is collected without having been closed,
 * which it also reports as a leak; {@code -Ddev.gradclip.leaks=trace} adds where the object was created.
 */
public final class LeakGuard {
    /** The guard of objects that hold nothing outside the heap. */
    public static final LeakGuard NONE = unwatched(new Runnable() {
        @Override
        public void run() {}
    });

    private static final boolean TRACE = "trace".equals(System.getProperty("dev.gradclip.leaks"));

    private static final Watch WATCH = new Watch(new Supplier<>() {
        @Override
        public Cleaner get() {
            return Cleaner.create();
        }
    });

    private final Cleaner.@Nullable Cleanable cleanable;
    private final Report report;

    private LeakGuard(Report report, Cleaner.@Nullable Cleanable cleanable) {
        this.report = report;
        this.cleanable = cleanable;
    }

    /**
     * Watches an object from now on; {@code release} must not refer to it. If no thread can be started for that, the
     * object is not watched.
     */
    public static LeakGuard watch(Object object, String what, Runnable release) {
        return watch(WATCH.cleaner(), object, what, release);
    }

    public static LeakGuard watch(@Nullable Cleaner cleaner, Object object, String what, Runnable release) {
        if (cleaner == null) return unwatched(release);
        Report report = new Report(what, release, TRACE ? new Throwable("created here") : null);
        return new LeakGuard(report, cleaner.register(object, report));
    }

    /** Returns a guard that only releases on close and reports nothing, for objects that live for one call. */
    public static LeakGuard unwatched(Runnable release) {
        return new LeakGuard(new Report("", release, null), null);
    }

    /** Switches the report off for an object that was closed but is released later. */
    void unreported() {
        report.reported = true;
    }

    /** Releases what the object holds, without a report; to be called once. */
    public void closed() {
        unreported();
        if (cleanable != null) cleanable.clean();
        else report.run();
    }

    /** Makes the cleaner when it is first needed; if that fails, the next call tries again. */
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
