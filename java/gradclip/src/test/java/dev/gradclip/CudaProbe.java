// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.nio.file.Files;
import java.nio.file.Path;

/** Prints what a fresh JVM says about CUDA, and what it had mapped before it was asked. */
final class CudaProbe {
    private CudaProbe() {}

    public static void main(String[] arguments) throws java.io.IOException {
        System.out.println("norm=" + Gradients.globalNorm(new float[] {3, 4}));
        System.out.println("preferred=" + Backend.preferred());
        System.out.println(
                "mappedUnasked=" + Files.readString(Path.of("/proc/self/maps")).contains("libgradclip_cuda"));
        System.out.println("available=" + Backend.CUDA.isAvailable());
        System.out.println("reason=" + Backend.CUDA.reason());
        System.out.println("again=" + Backend.CUDA.reason());
        System.out.println("remedy=" + Backend.CUDA.remedy());
        System.out.println("details=" + Backend.CUDA.details());
        try (DeviceBuffer buffer = DeviceBuffer.allocate(DType.FLOAT32, 2);
                GradientClipper clipper = GradientClipper.of(buffer)) {
            buffer.copyFrom(new float[] {3, 4});
            System.out.println("cuda=" + clipper.globalNorm());
        } catch (BackendUnavailableException e) {
            System.out.println("cuda=refused: " + e.getMessage());
        }
    }
}
