// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.Update;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Each call clips; it throws where it does not. */
class UpdateWorkloadTest {
    static Stream<Backend> backends() {
        return Stream.of(Backend.values()).filter(Backend::isAvailable);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyCallClips(Backend backend) {
        for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
            for (Update update : List.of(Update.sgd(1), Update.sgd(1).withMomentum(0.9), Update.adamW(1))) {
                try (UpdateWorkload work = new UpdateWorkload(Shape.equal(dtype, 3, 1000), backend, 2, update)) {
                    List<Runnable> calls =
                            Case.UPDATES.stream().map(work::prepare).toList();
                    for (int i = 0; i < 1000; i++) calls.forEach(Runnable::run);
                    assertThrows(IllegalArgumentException.class, () -> work.prepare(Case.BITES));
                    assertThrows(IllegalArgumentException.class, () -> work.traffic(Case.NORM));
                }
            }
        }
    }

    /** In elements of FLOAT32: a clip that bites moves 3, plain SGD moves 3, momentum 2 more, AdamW 4 more. */
    @Test
    void traffic() {
        long n = 4 * 1000;
        assertTraffic(DType.FLOAT32, Update.sgd(1), new Traffic(2 * n, n, 4 * n), new Traffic(2 * n, 2 * n, 6 * n));
        assertTraffic(
                DType.FLOAT32,
                Update.sgd(1).withMomentum(0.9),
                new Traffic(2 * n, 2 * n, 6 * n),
                new Traffic(2 * n, 3 * n, 8 * n));
        assertTraffic(
                DType.FLOAT32, Update.adamW(1), new Traffic(2 * n, 3 * n, 8 * n), new Traffic(2 * n, 4 * n, 10 * n));
        // The state is FLOAT32 beside 16-bit weights.
        long half = n / 2;
        assertTraffic(
                DType.BFLOAT16,
                Update.adamW(1),
                new Traffic(n, half + 2 * n, 2 * n + 4 * n),
                new Traffic(n, n + 2 * n, 3 * n + 4 * n));
        assertEquals(4 * n, UpdateWorkload.footprint(Shape.equal(DType.FLOAT32, 1, 1000), Update.adam(1)));
        assertEquals(2 * n, UpdateWorkload.footprint(Shape.equal(DType.FLOAT32, 1, 1000), Update.sgd(1)));
        assertEquals(3 * n, UpdateWorkload.footprint(Shape.equal(DType.BFLOAT16, 1, 1000), Update.adam(1)));
    }

    private static void assertTraffic(DType dtype, Update update, Traffic step, Traffic inTwo) {
        try (UpdateWorkload work = new UpdateWorkload(Shape.equal(dtype, 1, 1000), Backend.JAVA, 1, update)) {
            assertEquals(step, work.traffic(Case.STEP));
            assertEquals(inTwo, work.traffic(Case.CLIP_THEN_UPDATE));
        }
    }
}
