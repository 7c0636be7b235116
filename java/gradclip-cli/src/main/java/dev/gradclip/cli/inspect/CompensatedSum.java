// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.inspect;

/** A running sum with Neumaier's correction (1974): its error does not grow with the number of terms. */
final class CompensatedSum {
    private double sum;
    private double correction;

    void add(double x) {
        double next = sum + x;
        correction += Math.abs(sum) >= Math.abs(x) ? (sum - next) + x : (x - next) + sum;
        sum = next;
    }

    double value() {
        return sum + correction;
    }
}
