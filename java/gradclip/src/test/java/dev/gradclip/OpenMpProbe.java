// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.jni.TestSupport;

/** Clips on three OpenMP threads, prints their number, and leaves the JVM to end them. */
final class OpenMpProbe {
    private OpenMpProbe() {}

    public static void main(String[] arguments) {
        System.out.println(TestSupport.openMpRegion(3));
        GradientClipper clipper = GradientClipper.builder()
                .openMpThreads(TestSupport.OPEN_MP, 3)
                .add(HostBuffer.allocate(DType.FLOAT32, 1 << 20))
                .build();
        for (int i = 0; i < 100; i++) clipper.globalNorm();
        clipper.close();
    }
}
