// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;

/** The threads that help a caller with its phases: {@link SharedPool}, an executor of the user's, or {@link OpenMp}. */
public final class Team {
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

    /** {@code -Ddev.gradclip.threads}, else the number of processors. */
    public static int defaultThreads() {
        Integer set = Integer.getInteger("dev.gradclip.threads");
        return set != null && set > 0 ? set : Runtime.getRuntime().availableProcessors();
    }

    /** Threads at most, the caller's among them. */
    public int threads() {
        return threads;
    }

    /** Runs all chunks, each thread's share backwards if so asked, and returns when they are done. */
    void run(Job job, long chunks, boolean backwards) {
        int helpers = job.isBetterAlone() ? 0 : (int) Math.min(threads - 1, chunks - 1);
        job.open(chunks, helpers, backwards);
        if (helpers <= 0) {
            job.finish();
        } else if (openMp != null) {
            // All of them, even for few chunks: OpenMP ends threads that a region leaves out.
            openMp.run(job, threads);
        } else if (executor == null) {
            SharedPool.instance().run(job, helpers);
        } else {
            try {
                for (int i = 0; i < helpers; i++) executor.execute(job);
            } catch (RejectedExecutionException e) {
                // The caller does what the executor will not.
            } finally {
                job.finish();
            }
        }
    }
}
