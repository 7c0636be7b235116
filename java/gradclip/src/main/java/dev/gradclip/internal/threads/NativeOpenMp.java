// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.threads;

/** Native methods of {@link OpenMp}. */
final class NativeOpenMp {
    private NativeOpenMp() {}

    /** To be called once, before the others, with the class whose {@code work(int)} threads call. */
    static native void prepare(Class<ChunkQueue> job);

    /** The address of what a library that is loaded, or one that it needs, calls by a name; 0 if there is none. */
    static native long symbol(String library, String name);

    /** Calls a function without arguments at an address. */
    static native int count(long function);

    /**
     * Opens a parallel region of so many threads at most and calls {@link ChunkQueue#work} in each.
     *
     * @param parallel address of {@code GOMP_parallel}
     * @param number address of {@code omp_get_thread_num}
     */
    static native void run(long parallel, long number, int threads, ChunkQueue job);
}
