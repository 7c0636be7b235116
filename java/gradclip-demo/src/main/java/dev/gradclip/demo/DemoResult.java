// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import org.jspecify.annotations.Nullable;

/**
 * The findings of a demo.
 *
 * @param plan what was asked for
 * @param digits null where it was not asked for
 * @param temporalOrder null where it was not asked for
 */
public record DemoResult(
        DemoPlan plan,
        @Nullable DigitsResult digits,
        @Nullable TemporalResult temporalOrder) {}
