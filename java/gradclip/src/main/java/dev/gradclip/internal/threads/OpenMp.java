// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.threads;

import dev.gradclip.internal.jni.NativeLibrary;
import org.jspecify.annotations.Nullable;

/**
 * The OpenMP threads that another library of this process keeps for the calling thread. After a parallel region they
 * spin for milliseconds and wait for the next one. Helpers of our own would compete with them for the cores; a parallel
 * region of ours finds them awake.
 */
final class OpenMp {
    private static final boolean PREPARED = prepared();

    private final long parallel;
    private final long number;
    private final long most;

    private OpenMp(long parallel, long number, long most) {
        this.parallel = parallel;
        this.number = number;
        this.most = most;
    }

    private static boolean prepared() {
        if (NativeLibrary.instance().isLoaded()) NativeOpenMp.prepare(ChunkQueue.class);
        return NativeLibrary.instance().isLoaded();
    }

    /** Returns the OpenMP threads of a library like {@code libtorch_cpu.so}; null if it is not loaded or has none. */
    static @Nullable OpenMp of(String library) {
        if (!PREPARED) return null;
        // gcc compiles a region to this call; the runtimes of LLVM and Intel have it too.
        long parallel = NativeOpenMp.symbol(library, "GOMP_parallel");
        long number = NativeOpenMp.symbol(library, "omp_get_thread_num");
        long most = NativeOpenMp.symbol(library, "omp_get_max_threads");
        return parallel == 0 || number == 0 || most == 0 ? null : new OpenMp(parallel, number, most);
    }

    /** The default number of threads of a region that the calling thread opens. */
    int threads() {
        return Math.max(1, NativeOpenMp.count(most));
    }

    /** Does the chunks of an open phase in at most {@code threads} threads, including the caller's. */
    void run(ChunkQueue queue, int threads) {
        NativeOpenMp.run(parallel, number, threads, queue);
    }
}
