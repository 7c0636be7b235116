// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.threads;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.NativeLibrary;
import dev.gradclip.internal.jni.TestSupport;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Jobs in parallel regions. */
@Timeout(120)
class OpenMpTest {
    private static final int CHUNKS = 97;

    @BeforeEach
    void needsOpenMp() {
        assumeTrue(NativeLibrary.instance().isLoaded() && TestSupport.isLoaded(), "the native library is not built");
        assumeTrue(TestSupport.openMpRegion(4) == 4, "the compiler had no OpenMP");
    }

    private static OpenMp openMp() {
        return Objects.requireNonNull(OpenMp.of(TestSupport.OPEN_MP));
    }

    @Test
    void everyChunkIsDoneOnceWhateverTheThreads() {
        AtomicIntegerArray done = new AtomicIntegerArray(CHUNKS);
        ChunkQueue job = new ChunkQueue(chunk -> done.incrementAndGet((int) chunk));
        OpenMp openMp = openMp();
        for (int phase = 0; phase < 2000; phase++) {
            int threads = 1 + phase / 100 % 4;
            job.phase(CHUNKS, threads - 1, phase % 2 == 1, (open, helpers) -> openMp.run(open, threads));
            for (int i = 0; i < CHUNKS; i++) assertEquals(1, done.getAndSet(i, 0), "chunk " + i);
        }
    }

    /** An exception on any thread reaches the caller, and the next phase has all its chunks. */
    @Test
    void whatAChunkThrowsReachesTheCaller() {
        RuntimeException fault = new IllegalStateException("not this one");
        int[] bad = {0};
        AtomicIntegerArray done = new AtomicIntegerArray(CHUNKS);
        ChunkQueue job = new ChunkQueue(chunk -> {
            if (chunk == bad[0]) throw fault;
            done.incrementAndGet((int) chunk);
        });
        OpenMp openMp = openMp();
        for (int i = 0; i < 3 * CHUNKS; i++) {
            bad[0] = i % CHUNKS;
            assertSame(
                    fault,
                    assertThrows(
                            IllegalStateException.class,
                            () -> job.phase(CHUNKS, 3, false, (open, helpers) -> openMp.run(open, 4))));
        }
        bad[0] = -1;
        for (int i = 0; i < CHUNKS; i++) done.set(i, 0);
        job.phase(CHUNKS, 3, false, (open, helpers) -> openMp.run(open, 4));
        for (int i = 0; i < CHUNKS; i++) assertEquals(1, done.get(i));
    }

    @Test
    void asManyThreadsAsTheLibraryUses() {
        assertEquals(TestSupport.openMpMost(), openMp().threads());
    }

    @Test
    void aLibraryThatIsNotThereHasNone() {
        assertNull(OpenMp.of("libnotloaded.so"));
        assertNull(OpenMp.of("libjvm.so"));
    }
}
