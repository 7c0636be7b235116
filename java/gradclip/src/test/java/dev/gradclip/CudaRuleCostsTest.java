// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The counted device costs of each rule. */
class CudaRuleCostsTest {
    private static final TestBackend CUDA = new TestBackend(Backend.CUDA, 3, "cuda-emulated");

    @BeforeEach
    void needsTheEmulator() {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
    }

    private static void assertEnqueued(MixedTensors mixed, ClipRule rule, int launches, int uploads) {
        EmulatedCuda.counters();
        mixed.clipper.clipAsync(rule, CudaStream.DEFAULT);
        EmulatedCuda.Counters found = EmulatedCuda.counters();
        assertTrue(found.launches() <= launches, () -> found + " for " + rule);
        assertEquals(uploads, found.copiesToDevice(), () -> found + " for " + rule);
        assertEquals(0, found.copiesToHost(), () -> found + " for " + rule);
        assertEquals(0, found.allocations(), () -> found + " for " + rule);
        assertEquals(0, found.synchronisations(), () -> found + " for " + rule);
    }

    @Test
    void threeLaunchesAndNothingElse() {
        try (MixedTensors mixed = new MixedTensors(CUDA)) {
            for (ClipRule rule : EveryRule.all()) {
                for (NonFinitePolicy policy : NonFinitePolicy.values()) {
                    for (double inverseScale : new double[] {1, 0.5}) {
                        ClipRule each = rule.withNonFinitePolicy(policy).withInverseScale(inverseScale);
                        mixed.clipper.clip(each);
                        assertEnqueued(mixed, each, 3, 0);
                    }
                }
            }
        }
    }

    @Test
    void powersTakeTwoMore() {
        try (MixedTensors mixed = new MixedTensors(CUDA)) {
            for (ClipRule rule : EveryRule.allByNorm()) {
                ClipRule power = EveryRule.withNormType(rule, NormType.p(3));
                mixed.clipper.clip(power);
                assertEnqueued(mixed, power, 5, 0);
            }
        }
    }

    /** Its coefficient is known before the norm: one kernel measures and scales, where no policy may undo that. */
    @Test
    void aLaggedNormTakesTwoLaunches() {
        try (MixedTensors mixed = new MixedTensors(CUDA)) {
            for (NonFinitePolicy policy : NonFinitePolicy.values()) {
                for (NormType type : new NormType[] {NormType.L1, NormType.L2, NormType.INF, NormType.p(3)}) {
                    NormRule rule = ClipRule.laggedNorm(1).withNormType(type).withNonFinitePolicy(policy);
                    mixed.clipper.clip(rule);
                    EmulatedCuda.counters();
                    mixed.clipper.clipAsync(rule, CudaStream.DEFAULT);
                    int power = type.equals(NormType.p(3)) ? 5 : 3;
                    int expected = policy == NonFinitePolicy.PROPAGATE && power == 3 ? 2 : power;
                    assertEquals(expected, EmulatedCuda.counters().launches(), rule::toString);
                }
            }
        }
    }

    /** The parts of a rule for groups go to the device once, in the same copy as pieces that have moved. */
    @Test
    void aRuleForGroupsIsUploadedWhenItIsAnother() {
        try (MixedTensors mixed = new MixedTensors(CUDA)) {
            ClipRule one = EveryRule.groupNorms().get(0);
            ClipRule other = EveryRule.values().get(2);
            for (int i = 0; i < 5; i++) {
                assertEnqueued(mixed, one, 3, 1);
                assertEnqueued(mixed, one, 3, 0);
                assertEnqueued(mixed, ClipRule.globalNorm(1), 3, 0);
                assertEnqueued(mixed, ClipRule.perRowNorm(1), 3, 0);
                assertEnqueued(mixed, one, 3, 0);
                assertEnqueued(mixed, other, 3, 1);
                // The next upload has to wait once it is some ahead of the device.
                CudaStream.DEFAULT.synchronize();
            }
        }
    }
}
