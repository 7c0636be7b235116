// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;

/** The threads that help a caller with its phases: {@link SharedPool}, an executor of the user's, or {@link OpenMp}. */
public final class Team implements Job.Helpers {
    private static final String THREADS_PROPERTY = "dev.gradclip.threads";

    private final int threads;
    private final @Nullable Executor executor;
    private final @Nullable OpenMp openMp;

    private Team(int threads, @Nullable Executor executor, @Nullable OpenMp openMp) {
        this.threads = threads;
        this.executor = executor;
        this.openMp = openMp;
    }

    /** So many threads, the caller's among them, from the pool that all clippers share. */
    public static Team ofThreads(int threads) {
        return new Team(threads, null, null);
    }

    /** The caller's thread and up to {@code threads - 1} tasks on an executor. */
    public static Team of(Executor executor, int threads) {
        return new Team(threads, executor, null);
    }

    /** The caller's thread and a library's OpenMP threads; {@link #ofThreads} where they can't be had. */
    public static Team ofOpenMp(String library, int threads) {
        return new Team(threads, null, OpenMp.of(library));
    }

    /** The same with as many threads as the library uses; {@link #defaultThreads} where they can't be had. */
    public static Team ofOpenMp(String library) {
        OpenMp openMp = OpenMp.of(library);
        return new Team(openMp == null ? defaultThreads() : openMp.threads(), null, openMp);
    }

    /**
     * {@code -Ddev.gradclip.threads}, else the number of processors.
     *
     * @throws IllegalArgumentException if the property is not a number of threads
     */
    public static int defaultThreads() {
        String set = System.getProperty(THREADS_PROPERTY);
        if (set == null) return Runtime.getRuntime().availableProcessors();
        try {
            int threads = Integer.parseInt(set.strip());
            if (threads > 0) return threads;
        } catch (NumberFormatException e) {
            // Said below.
        }
        throw new IllegalArgumentException("-D" + THREADS_PROPERTY + "=" + set
                + " is not a number of threads; give it a whole number from 1 on, or leave it out for one a processor");
    }

    /** Threads at most, the caller's among them. */
    public int threads() {
        return threads;
    }

    /** Runs all chunks, each thread's share backwards if so asked, and returns when they are done. */
    void run(Job job, long chunks, boolean backwards) {
        int helpers = job.isBetterAlone() ? 0 : (int) Math.min(threads - 1, chunks - 1);
        if (helpers > 0 && executor == null && openMp == null) {
            SharedPool.instance().run(job, chunks, helpers, backwards);
        } else {
            job.phase(chunks, helpers, backwards, this);
        }
    }

    @Override
    public void invite(Job job, int helpers) {
        // All of them, even for few chunks: OpenMP ends threads that a region leaves out.
        if (openMp != null) openMp.run(job, threads);
        if (executor == null) return;
        try {
            job.ask(executor, helpers);
        } catch (RejectedExecutionException e) {
            // The caller does what the executor will not.
        }
    }
}
