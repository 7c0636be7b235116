// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.threads;

/** Native methods of {@link OpenMp}. */
final class NativeOpenMp {
    private NativeOpenMp() {}

    /** Prepares the other methods; called once, with the class whose {@code work(int)} the threads call. */
    static native void prepare(Class<ChunkQueue> queue);

    /** Returns the address of a symbol of a loaded library or of those it needs; 0 if there is none. */
    static native long symbol(String library, String name);

    /** Calls the function at an address, which takes no arguments; returns its result. */
    static native int count(long function);

    /**
     * Opens a parallel region of at most {@code threads} threads and calls {@link ChunkQueue#work} in each.
     *
     * @param parallel address of {@code GOMP_parallel}
     * @param number address of {@code omp_get_thread_num}
     */
    static native void run(long parallel, long number, int threads, ChunkQueue queue);
}
