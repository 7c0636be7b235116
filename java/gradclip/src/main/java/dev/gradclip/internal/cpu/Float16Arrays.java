// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

/**
 * Converts arrays of FLOAT16 bits by {@link Half}. On Java 21 and newer a jar that was built there has another version
 * of this class, from {@code src/main/java21}, which uses the processor's own conversions.
 */
final class Float16Arrays {
    private Float16Arrays() {}

    /** Converts the first {@code n} elements exactly. */
    static void toFloats(short[] halves, float[] floats, int n) {
        for (int i = 0; i < n; i++) floats[i] = Half.float16ToFloat(halves[i]);
    }

    /** Rounds the first {@code n} elements to nearest even; NaN becomes 0x7fff. */
    static void toHalves(float[] floats, short[] halves, int n) {
        for (int i = 0; i < n; i++) halves[i] = Half.floatToFloat16(floats[i]);
    }
}
