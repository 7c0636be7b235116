// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.DType;
import dev.gradclip.GradientClipper;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The case stays the case; each call throws where it does not. */
class WorkloadTest {
    private static double norm(GradientSet set) {
        try (GradientClipper clipper = GradientClipper.of(set.buffers().toArray(dev.gradclip.GradientBuffer[]::new))) {
            return clipper.globalNorm();
        }
    }

    private static void repeat(Runnable call, int times) {
        for (int i = 0; i < times; i++) call.run();
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"FLOAT32", "BFLOAT16"})
    void normCases(DType dtype) {
        try (GradientSet set = new GradientSet(Shape.equal(dtype, 2, 1000), Backend.preferred());
                Workload work = new Workload(set, Backend.preferred(), 1)) {
            double norm = norm(set);
            // 2000 values spread evenly over [-1, 1): the square root of 2000 / 3.
            assertEquals(25.8, norm, 1);
            repeat(work.prepare(Case.BITES), 10_000);
            double after = norm(set);
            assertTrue(after > 0.98 * norm, norm + " became " + after);
            assertEquals(dtype == DType.FLOAT32, after < norm);
            repeat(work.prepare(Case.DOES_NOT_BITE), 10);
            repeat(work.prepare(Case.NORM), 10);
            long bytes = set.shape().bytes();
            assertEquals(new Traffic(bytes, 0, bytes), work.traffic(Case.NORM));
            assertEquals(new Traffic(bytes, 0, bytes), work.traffic(Case.DOES_NOT_BITE));
            assertEquals(new Traffic(bytes, bytes, 3 * bytes), work.traffic(Case.BITES));
            assertThrows(IllegalArgumentException.class, () -> work.prepare(Case.STEP));
            assertThrows(IllegalArgumentException.class, () -> work.traffic(Case.CLIP_THEN_UPDATE));
            assertEquals(after, norm(set));
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"FLOAT32", "BFLOAT16"})
    void everyClampChangesTheSameElements(DType dtype) {
        try (GradientSet set = new GradientSet(Shape.equal(dtype, 2, 5000), Backend.preferred());
                Workload work = new Workload(set, Backend.preferred(), 1)) {
            Runnable clamp = work.prepare(Case.CLAMP);
            assertEquals(100.0, (double) set.changed(), 25.0);
            // Beyond 16,000 the limit has come down to ordinary values and begins again at the top.
            repeat(clamp, 17_000);
            assertEquals(
                    set.shape().bytes() + set.touched(),
                    work.traffic(Case.CLAMP).moved());
        }
    }

    @Test
    void aChangedCaseIsNoticed() {
        try (GradientSet set = new GradientSet(Shape.equal(DType.FLOAT32, 1, 1000), Backend.JAVA);
                Workload work = new Workload(set, Backend.JAVA, 1);
                GradientClipper other = GradientClipper.of(set.buffers().get(0))) {
            ClipResult shrunk = other.clipByGlobalNorm(norm(set) / 2);
            assertTrue(shrunk.clipped());
            assertThrows(IllegalStateException.class, work.prepare(Case.BITES)::run);
            Runnable clamp = work.prepare(Case.CLAMP);
            other.clipByValue(1);
            assertThrows(IllegalStateException.class, clamp::run);
        }
    }

    @Test
    void otherTypesAreRefused() {
        Shape shape = Shape.equal(DType.FLOAT16, 1, 1);
        try (GradientSet set = new GradientSet(shape, Backend.JAVA)) {
            assertThrows(IllegalArgumentException.class, () -> new Workload(set, Backend.JAVA, 1));
        }
    }
}
