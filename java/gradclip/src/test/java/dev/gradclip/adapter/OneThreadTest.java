// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.adapter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class OneThreadTest {
    private final OneThread use = new OneThread();

    @Test
    void aSecondThreadIsRefusedAndToldWhoUsesIt() throws InterruptedException {
        CountDownLatch inside = new CountDownLatch(1);
        CountDownLatch leave = new CountDownLatch(1);
        Thread first = new Thread(() -> hold(inside, leave), "the trainer");
        first.start();
        inside.await();
        String refused = String.valueOf(
                assertThrows(IllegalStateException.class, use::acquire).getMessage());
        assertTrue(refused.contains("the trainer") && refused.contains("one thread at a time"), refused);
        leave.countDown();
        first.join();
        use.acquire();
        use.release();
    }

    private void hold(CountDownLatch inside, CountDownLatch leave) {
        use.acquire();
        inside.countDown();
        try {
            leave.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            use.release();
        }
    }

    @Test
    void aThreadThatEndedInsideHoldsItNoMore() throws InterruptedException {
        Thread stopped = new Thread(use::acquire);
        stopped.start();
        stopped.join();
        use.acquire();
        use.release();
    }

    @Test
    void aCallWithinACallIsRefused() {
        use.acquire();
        assertThrows(IllegalStateException.class, use::acquire);
        use.release();
        use.acquire();
        use.release();
    }

    @Test
    void closingWaitsRefusesAndRunsOnce() throws InterruptedException {
        CountDownLatch inside = new CountDownLatch(1);
        CountDownLatch leave = new CountDownLatch(1);
        AtomicInteger ran = new AtomicInteger();
        Thread first = new Thread(() -> hold(inside, leave));
        first.start();
        inside.await();
        Thread closer = new Thread(() -> use.close(ran::incrementAndGet));
        closer.start();
        closer.join(50);
        assertTrue(closer.isAlive(), "a call is under way");
        assertEquals(0, ran.get());
        leave.countDown();
        first.join();
        closer.join();
        use.close(ran::incrementAndGet);
        assertEquals(1, ran.get());
        String refused = String.valueOf(
                assertThrows(IllegalStateException.class, use::acquire).getMessage());
        assertEquals("the clipper is closed", refused);
    }

    @Test
    void itIsNotClosedFromWithin() {
        use.acquire();
        AtomicInteger ran = new AtomicInteger();
        assertThrows(IllegalStateException.class, () -> use.close(ran::incrementAndGet));
        use.release();
        assertEquals(0, ran.get());
        use.acquire();
        use.release();
    }

    @Test
    void whatClosingThrowsIsThrownAndItStaysClosed() {
        assertThrows(
                ArithmeticException.class,
                () -> use.close(() -> {
                    throw new ArithmeticException("closing");
                }));
        assertThrows(IllegalStateException.class, use::acquire);
        AtomicInteger ran = new AtomicInteger();
        use.close(ran::incrementAndGet);
        assertFalse(ran.get() > 0);
    }
}
