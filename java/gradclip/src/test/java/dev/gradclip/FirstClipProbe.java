// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import jdk.jfr.FlightRecorder;

/** Clips in a JVM of its own, once an array and once with a clipper, and says if that has started JDK Flight Recorder. */
final class FirstClipProbe {
    private FirstClipProbe() {}

    public static void main(String[] args) {
        Gradients.clipByGlobalNorm(1, new float[] {3, 4});
        try (GradientClipper clipper = GradientClipper.builder()
                .threads(2)
                .add("weights", HostBuffer.wrap(new float[1 << 18]))
                .build()) {
            clipper.clipByGlobalNorm(1);
        }
        System.out.println("started: " + FlightRecorder.isInitialized());
    }
}
