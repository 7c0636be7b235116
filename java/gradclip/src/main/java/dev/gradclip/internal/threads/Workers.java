// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.threads;

import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;

/** The threads that help a caller with its phases: {@link SharedPool}, the user's executor, or {@link OpenMp}. */
public final class Workers implements ChunkQueue.Helpers {
    private static final String THREADS_PROPERTY = "dev.gradclip.threads";

    private final int threads;
    private final @Nullable Executor executor;
    private final @Nullable OpenMp openMp;

    private Workers(int threads, @Nullable Executor executor, @Nullable OpenMp openMp) {
        this.threads = threads;
        this.executor = executor;
        this.openMp = openMp;
    }

    /** The caller's thread and up to {@code threads - 1} helpers of the pool that all clippers share. */
    public static Workers ofThreads(int threads) {
        return new Workers(threads, null, null);
    }

    /** The caller's thread and up to {@code threads - 1} tasks on an executor. */
    public static Workers of(Executor executor, int threads) {
        return new Workers(threads, executor, null);
    }

    /** The caller's thread and a library's OpenMP threads, or {@link #ofThreads} if it has none. */
    public static Workers ofOpenMp(String library, int threads) {
        return new Workers(threads, null, OpenMp.of(library));
    }

    /** The library's OpenMP threads, as many as it uses, or {@link #defaultThreads} of the pool if it has none. */
    public static Workers ofOpenMp(String library) {
        OpenMp openMp = OpenMp.of(library);
        return new Workers(openMp == null ? defaultThreads() : openMp.threads(), null, openMp);
    }

    /**
     * The number given by {@code -Ddev.gradclip.threads}, else the number of processors.
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
            // The exception below reports it.
        }
        throw new IllegalArgumentException("-D" + THREADS_PROPERTY + "=" + set
                + " is not a number of threads; give it a whole number from 1 on, or leave it out for one a processor");
    }

    /** The largest number of threads, including the caller's. */
    public int threads() {
        return threads;
    }

    /** Runs all chunks and returns when they are done; {@code backwards} runs each share from its end. */
    public void run(ChunkQueue queue, long chunks, boolean backwards) {
        int helpers = queue.isBetterAlone() ? 0 : (int) Math.min(threads - 1, chunks - 1);
        if (helpers > 0 && executor == null && openMp == null) {
            SharedPool.instance().run(queue, chunks, helpers, backwards);
        } else {
            queue.phase(chunks, helpers, backwards, this);
        }
    }

    @Override
    public void invite(ChunkQueue queue, int helpers) {
        // All threads, even for few chunks, because OpenMP ends threads that a region leaves out.
        if (openMp != null) openMp.run(queue, threads);
        if (executor == null) return;
        try {
            queue.ask(executor, helpers);
        } catch (RejectedExecutionException e) {
            // The caller does all the work.
        }
    }
}
