// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import dev.gradclip.internal.jni.NativeCuda;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Steps through a device's writes and checks what a reader sees after each. */
class CudaResultsTest {
    private static final int SLOT = 64;
    private static final int BEGUN = 48;
    private final ByteBuffer memory =
            ByteBuffer.allocateDirect(CudaResults.SIZE * SLOT).order(ByteOrder.nativeOrder());

    @BeforeEach
    void needsNativeCode() {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
    }

    private void publish(long ticket, boolean wholly) {
        int slot = (int) (ticket % CudaResults.SIZE) * SLOT;
        memory.putLong(slot + BEGUN, ticket);
        memory.putDouble(slot + 8, (double) ticket);
        if (wholly) memory.putLong(slot, ticket);
    }

    @Test
    void aTicketHoldsOnceItIsWrittenWhole() {
        CudaResults ring = CudaResults.at(NativeCuda.address(memory), CudaResults.SIZE);
        assertFalse(ring.holds(5));
        publish(5, false);
        assertFalse(ring.holds(5));
        publish(5, true);
        assertTrue(ring.holds(5));
        assertEquals(5, ring.globalNorm(5));
        assertTrue(ring.kept(5));
    }

    @Test
    void figuresReadWhileALaterCallWritesAreNotKept() {
        CudaResults ring = CudaResults.at(NativeCuda.address(memory), CudaResults.SIZE);
        publish(5, true);
        publish(5 + CudaResults.SIZE, false);
        assertTrue(ring.holds(5), "nothing says yet that it is going");
        assertFalse(ring.kept(5));
        publish(5 + CudaResults.SIZE, true);
        assertThrows(IllegalStateException.class, () -> ring.holds(5));
    }

    @Test
    void aRingOfOneTellsItsLatest() {
        CudaResults slot = CudaResults.at(NativeCuda.address(memory), 1);
        assertEquals(0, slot.latest());
        for (long ticket = 1; ticket < 4; ticket++) {
            memory.putLong(BEGUN, ticket).putDouble(8, ticket * 2.0).putLong(0, ticket);
            assertEquals(ticket, slot.latest());
            assertEquals(ticket * 2.0, slot.globalNorm(ticket));
            assertTrue(slot.kept(ticket));
        }
    }
}
