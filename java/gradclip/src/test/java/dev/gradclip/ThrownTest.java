// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A throwable in the middle of a call reaches the caller, nothing hangs, and the next call is right. */
@Timeout(60)
class ThrownTest {
    private static final int LENGTH = 1 << 19;

    /** The stack overflows in a JVM of its own, which loses each class whose initialisation overflows the stack. */
    @Test
    void aStackThatIsUsedUpWhereverItIs() {
        String output = ChildJvm.run(List.of(), StackProbe.class);
        assertEquals("fine", output.lines().reduce((a, b) -> b).orElse(""), output);
    }

    /** An executor that does its tasks at once, or throws. */
    private static final class Faulty implements Executor {
        @Nullable
        Throwable fault;

        @Override
        public void execute(Runnable task) {
            if (fault != null) ThrownTest.<RuntimeException>throwAsIs(fault);
            task.run();
        }
    }

    @SuppressWarnings("unchecked")
    private static <E extends Throwable> void throwAsIs(Throwable thrown) throws E {
        throw (E) thrown;
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void whatAnExecutorThrows(TestBackend backend) {
        for (Throwable fault : List.of(
                new IllegalArgumentException("of a bug"),
                new OutOfMemoryError("no thread"),
                new IOException("as Kotlin allows"))) {
            Faulty executor = new Faulty();
            float[] gradient = new float[LENGTH];
            Arrays.fill(gradient, 2);
            try (GradientClipper clipper = backend.builder()
                    .executor(executor, 2)
                    .add(HostBuffer.wrap(gradient))
                    .build()) {
                executor.fault = fault;
                assertSame(fault, assertThrows(Throwable.class, () -> clipper.clipByGlobalNorm(1)));
                assertFalse(clipper.isPartlyClipped(), "it throws where the norm is measured");
                assertEquals(2, gradient[0]);
                assertSame(fault, assertThrows(Throwable.class, () -> clipper.clipByValue(1)));
                assertTrue(clipper.isPartlyClipped(), "it throws where values are written");
                executor.fault = null;
                Arrays.fill(gradient, 2);
                assertEquals(2 * Math.sqrt(LENGTH), clipper.globalNorm());
                assertEquals(LENGTH, clipper.clipByValue(1).elementsChanged());
                assertFalse(clipper.isPartlyClipped());
                float[] clipped = new float[LENGTH];
                Arrays.fill(clipped, 1);
                assertArrayEquals(clipped, gradient);
            }
        }
    }

    /** A clip that is refused, such as one that finds a NaN, changes nothing. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#all")
    void aRefusedClipIsNotPartlyClipped(TestBackend backend) {
        try (GradientClipper clipper = backend.clipper(Values.buffer(DType.FLOAT32, 3, Double.NaN))) {
            ClipRule rule = ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ERROR);
            assertThrows(NonFiniteGradientException.class, () -> clipper.clip(rule));
            assertFalse(clipper.isPartlyClipped());
            clipper.clipByGlobalNorm(1);
            assertFalse(clipper.isPartlyClipped());
        }
    }

    /** Sums of an interrupted call do not pass for those of the result before it. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void figuresOfTheResultBeforeAreRefused(TestBackend backend) {
        Faulty executor = new Faulty();
        float[] gradient = new float[LENGTH];
        gradient[7] = 5;
        try (GradientClipper clipper = backend.builder()
                .executor(executor, 2)
                .add(HostBuffer.wrap(gradient))
                .build()) {
            ClipResult before = clipper.clipByGlobalNorm(10);
            assertEquals(5, before.tensorNorm(0));
            executor.fault = new IllegalArgumentException("not now");
            assertThrows(IllegalArgumentException.class, clipper::globalNorm);
            String message = assertThrows(IllegalStateException.class, () -> before.tensorNorm(0))
                    .getMessage();
            assertTrue(String.valueOf(message).contains("measured again"), message);
        }
    }
}
