// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import jdk.jfr.FlightRecorder;

/** Clips once in a JVM of its own, and says if that has started JDK Flight Recorder. */
final class FirstClipProbe {
    private FirstClipProbe() {}

    public static void main(String[] args) {
        Gradients.clipByGlobalNorm(1, new float[] {3, 4});
        System.out.println("started: " + FlightRecorder.isInitialized());
    }
}
