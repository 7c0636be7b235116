// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import dev.gradclip.internal.resource.LeakGuard;
import java.lang.ref.Cleaner;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A forgotten clipper is reported once; a closed one, or that of a one-line call, never. */
@Timeout(60)
class LeakTest {
    @Test
    void aForgottenClipperIsReported() {
        String output = ChildJvm.run(List.of(), LeakProbe.class, "forget");
        assertTrue(output.contains("collected=true"), output);
        String report = "a GradientClipper of 2 tensors was garbage collected without close()";
        assertTrue(output.contains(report), output);
        assertEquals(output.indexOf(report), output.lastIndexOf(report), output);
        assertTrue(output.contains("-Ddev.gradclip.leaks=trace"), output);
        assertFalse(output.contains("LeakProbe.clipper"), output);
    }

    @Test
    void aTraceSaysWhereItCameFrom() {
        String output = ChildJvm.run(List.of("-Ddev.gradclip.leaks=trace"), LeakProbe.class, "forget");
        assertTrue(output.contains("LeakProbe.clipper"), output);
    }

    @Test
    void aClosedOneIsNot() {
        String output = ChildJvm.run(List.of(), LeakProbe.class, "close");
        assertTrue(output.contains("collected=true"), output);
        assertTrue(output.contains("a GradientClipper of 1 tensor"), output);
        assertFalse(output.contains("a GradientClipper of 2 tensors"), output);
    }

    @Test
    void deviceMemoryAndStreamsAreReportedAndFreed() {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
        String output = ChildJvm.run(
                List.of("-Ddev.gradclip.test.cuda.emulated=" + EmulatedCuda.folder()), DeviceLeakProbe.class);
        assertTrue(output.contains("free=true"), output);
        for (String what :
                List.of("a GradientClipper of 2 tensors", "a DeviceBuffer of 1000 FLOAT32", "a CudaStream")) {
            String report = what + " was garbage collected without close()";
            assertTrue(output.contains(report), output);
            assertEquals(output.indexOf(report), output.lastIndexOf(report), output);
        }
        assertFalse(output.contains("FLOAT64"), "it was closed: " + output);
    }

    @Test
    void aStreamGivesDeviceMemoryBack() {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
        String output = ChildJvm.run(
                List.of("-Ddev.gradclip.test.cuda.emulated=" + EmulatedCuda.folder()), DeviceLeakProbe.class, "stream");
        assertEquals("free=true\n", output);
    }

    /** Objects go unwatched while no native thread can be started; later ones are watched again. */
    @Test
    void aCleanerThatCannotBeStartedIsTriedAgain() {
        AtomicInteger tries = new AtomicInteger();
        LeakGuard.Watch watch = new LeakGuard.Watch(() -> {
            if (tries.incrementAndGet() == 1) throw new OutOfMemoryError("no thread");
            return Cleaner.create();
        });
        AtomicInteger released = new AtomicInteger();
        LeakGuard.watch(watch.cleaner(), new Object(), "unwatched", released::incrementAndGet)
                .closed();
        assertEquals(1, released.get(), "it is let go of all the same");
        Cleaner cleaner = watch.cleaner();
        assertNotNull(cleaner);
        assertSame(cleaner, watch.cleaner());
        assertEquals(2, tries.get());
    }
}
