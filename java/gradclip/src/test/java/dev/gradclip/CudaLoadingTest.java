// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The CUDA library is found, checked and refused, each in a JVM of its own; nobody emulates a device unaware. */
@Timeout(120)
class CudaLoadingTest {
    private static final String EMULATED = "libgradclip_cuda_emulated.so";

    @TempDir
    Path folder;

    private static String probe(String... options) {
        return ChildJvm.run(List.of(options), CudaProbe.class);
    }

    private static void assertSays(String output, String... lines) {
        for (String line : lines) assertTrue(output.contains(line), () -> "no '" + line + "' in:\n" + output);
    }

    private static void assertRefused(String output, String reason) {
        assertSays(output, "norm=5.0", "available=false", "cuda=refused: backend CUDA", reason, "details={}");
        String first =
                output.lines().filter(l -> l.startsWith("reason=")).findFirst().orElse("");
        assertSays(output, "again=" + first.substring(7), "mappedUnasked=false");
        assertFalse(output.contains("remedy=\n"), output);
        assertFalse(output.contains("emulated"), output);
    }

    @Test
    void theJarAloneNeverEmulates() throws IOException {
        String output = probe();
        assertSays(output, "norm=5.0", "mappedUnasked=false");
        assertFalse(output.contains("emulated"), output);
        try (Stream<Path> files = Files.walk(Path.of(System.getProperty("build.classes", "target/classes")))) {
            assertEquals(
                    List.of(),
                    files.filter(f -> f.getFileName().toString().contains("emulated"))
                            .toList());
        }
    }

    @Test
    void aFolderWithoutTheLibraryIsNamed() {
        assertRefused(
                probe("-Ddev.gradclip.native.path=" + folder),
                folder.resolve("libgradclip_cuda.so") + " does not exist");
    }

    @Test
    void aPlatformWithoutALibrary() {
        assertRefused(probe("-Dos.arch=pdp11"), "this jar holds no CUDA library for linux-pdp11");
    }

    /** As the jars with the classifiers cuda12 and cuda13 do. */
    @Test
    void anotherJarMayHoldTheLibrary() throws IOException {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
        Path natives = Path.of(System.getProperty("build.classes", "target/classes"), "dev/gradclip/internal/native");
        String platform;
        try (Stream<Path> platforms = Files.list(natives)) {
            platform = platforms.findFirst().orElseThrow().getFileName().toString();
        }
        Path inJar = Files.createDirectories(folder.resolve("dev/gradclip/internal/native/" + platform));
        Files.copy(EmulatedCuda.folder().resolve(EMULATED), inJar.resolve("libgradclip_cuda.so"));
        String output =
                ChildJvm.start(List.of(), folder.toString(), CudaProbe.class).output();
        assertSays(output, "available=true", "emulated=kernels run on the processor", "cuda=5.0");
    }

    @Test
    void aFolderThatHoldsTheEmulatedOneAloneSaysSo() {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
        String output = probe("-Ddev.gradclip.native.path=" + EmulatedCuda.folder());
        assertSays(
                output, "available=true", "emulated=kernels run on the processor", "cuda=5.0", "mappedUnasked=false");
        assertSays(output, "device 0 name=Emulated device", EMULATED, "preferred=JAVA");
    }

    @Test
    void theEmulatedOneIsNotTakenBesideTheRealOne() throws IOException {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
        Files.copy(EmulatedCuda.folder().resolve(EMULATED), folder.resolve(EMULATED));
        Files.writeString(folder.resolve("libgradclip_cuda.so"), "no library");
        String output = probe("-Ddev.gradclip.native.path=" + folder);
        assertSays(output, "available=false", "libgradclip_cuda.so", "cuda=refused");
        assertFalse(output.contains("kernels run on the processor"), output);
    }

    @Test
    void aLibraryOfOtherSourcesIsRefused() throws IOException {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
        Path classes = Path.of(System.getProperty("build.classes", "target/classes"), "dev/gradclip/internal/native");
        assumeTrue(Files.isDirectory(classes), "the native library is not built");
        String platform;
        try (Stream<Path> platforms = Files.list(classes)) {
            platform = platforms.findFirst().orElseThrow().getFileName().toString();
        }
        Path other = Files.createDirectories(
                folder.resolve("classes/dev/gradclip/internal/native").resolve(platform));
        Files.writeString(other.resolve("gradclip.build-id"), "0.0.1+0123456789ab\n");
        String output = ChildJvm.start(
                        List.of("-Ddev.gradclip.native.path=" + EmulatedCuda.folder()),
                        folder.resolve("classes").toString(),
                        CudaProbe.class)
                .output();
        assertSays(output, "available=false", "this jar's is 0.0.1+0123456789ab");
    }
}
