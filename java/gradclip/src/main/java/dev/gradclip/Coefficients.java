// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** How a coefficient, decided in double, meets elements. */
final class Coefficients {
    private Coefficients() {}

    /** Whether it changes elements of a type: FLOAT64 takes it as it is, the others round it to float first. */
    static boolean changes(double coefficient, DType dtype) {
        return dtype == DType.FLOAT64 ? coefficient != 1 : (float) coefficient != 1;
    }
}
