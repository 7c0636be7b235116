// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Prints what a fresh JVM says about its backends, one fact a line. */
final class LoadingProbe {
    /** The argument for a library folder whose path no file system has. */
    static final String NO_PATH = "no-path";

    private LoadingProbe() {}

    public static void main(String[] arguments) throws IOException {
        if (List.of(arguments).contains(NO_PATH)) System.setProperty("dev.gradclip.native.path", "a\0b");
        System.out.println("available=" + Backend.NATIVE.isAvailable());
        System.out.println("preferred=" + Backend.preferred());
        System.out.println("reason=" + Backend.NATIVE.reason());
        System.out.println("again=" + Backend.NATIVE.reason());
        System.out.println("remedy=" + Backend.NATIVE.remedy());
        System.out.println("details=" + Backend.NATIVE.details());
        float[] gradient = {3, 4};
        System.out.println("norm=" + Gradients.globalNorm(gradient));
        try (GradientClipper clipper = GradientClipper.builder()
                .backend(Backend.NATIVE)
                .add(HostBuffer.wrap(gradient))
                .build()) {
            System.out.println("native=" + clipper.globalNorm());
        } catch (BackendUnavailableException e) {
            System.out.println("native=refused: " + e.getMessage());
        }
        try (GradientClipper clipper = GradientClipper.builder()
                .backend(Backend.JAVA)
                .declare("a", DType.FLOAT32, 2)
                .build()) {
            clipper.rebind(new long[] {0});
            clipper.rebind(new long[] {64});
            System.out.println("address=taken");
        } catch (BackendUnavailableException e) {
            System.out.println("address=refused: " + e.getMessage());
        }
        Path temporary = Path.of(System.getProperty("java.io.tmpdir", ""));
        try (Stream<Path> left = Files.list(temporary)) {
            System.out.println("left="
                    + left.filter(p -> p.getFileName().toString().startsWith("gradclip-"))
                            .toList());
        }
    }
}
