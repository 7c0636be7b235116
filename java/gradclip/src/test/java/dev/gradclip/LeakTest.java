// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.EmulatedCuda;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A clipper that is forgotten is reported once; one that was closed, and a one-liner's, never. */
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
}
