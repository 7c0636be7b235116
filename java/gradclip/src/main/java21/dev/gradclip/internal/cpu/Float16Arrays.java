// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

/**
 * Converts arrays of FLOAT16 bits by the JDK's own conversions, which become vector instructions. They neither flush
 * subnormal halves nor round otherwise where the thread flushes subnormals.
 */
final class Float16Arrays {
    private Float16Arrays() {}

    /** Converts the first {@code n} elements exactly. The bits of a NaN are up to the processor. */
    static void toFloats(short[] halves, float[] floats, int n) {
        for (int i = 0; i < n; i++) floats[i] = Float.float16ToFloat(halves[i]);
    }

    /** Rounds the first {@code n} elements to nearest even; NaN becomes 0x7fff. */
    static void toHalves(float[] floats, short[] halves, int n) {
        // NaN in a loop of its own: with a branch in it, the first one would not be vectorised.
        for (int i = 0; i < n; i++) halves[i] = Float.floatToFloat16(floats[i]);
        for (int i = 0; i < n; i++) if (Float.isNaN(floats[i])) halves[i] = 0x7fff;
    }
}
