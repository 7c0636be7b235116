// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The property {@code -Ddev.gradclip.threads} is followed, or refused with an error. */
class DefaultThreadsTest {
    private static final String PROPERTY = "dev.gradclip.threads";
    private final String before = System.getProperty(PROPERTY, "");

    @BeforeEach
    @AfterEach
    void restore() {
        if (before.isEmpty()) System.clearProperty(PROPERTY);
        else System.setProperty(PROPERTY, before);
    }

    @ParameterizedTest
    @ValueSource(strings = {"abc", "0", "-5", "99999999999", "", "2.5", "0x4"})
    void whatIsNoNumberOfThreadsIsRefused(String value) {
        float[] gradient = {3, 4};
        System.setProperty(PROPERTY, value);
        for (Runnable call : new Runnable[] {
            Backend::defaultThreads,
            () -> Gradients.globalNorm(gradient),
            () -> GradientClipper.builder().add(HostBuffer.wrap(gradient)).build(),
            () -> StreamingNorm.of(NormType.L2, Backend.JAVA, 0)
        }) {
            String message =
                    assertThrows(IllegalArgumentException.class, call::run).getMessage();
            assertTrue(String.valueOf(message).startsWith("-D" + PROPERTY + "=" + value + " is not"), message);
        }
        try (GradientClipper clipper = GradientClipper.builder()
                .threads(2)
                .add(HostBuffer.wrap(gradient))
                .build()) {
            assertEquals(5, clipper.globalNorm(), "who says how many does not need it");
        }
        System.clearProperty(PROPERTY);
        assertEquals(5, Gradients.globalNorm(gradient), "once it is corrected");
    }

    @Test
    void aNumberIsHeard() {
        System.setProperty(PROPERTY, " 3 ");
        assertEquals(3, Backend.defaultThreads());
        System.clearProperty(PROPERTY);
        assertEquals(Runtime.getRuntime().availableProcessors(), Backend.defaultThreads());
    }
}
