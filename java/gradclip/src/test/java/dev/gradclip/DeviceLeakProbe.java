// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.jni.EmulatedCuda;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Streams pieces, or forgets a device buffer, a stream and a clipper, and prints whether the memory is free again. */
final class DeviceLeakProbe {
    private DeviceLeakProbe() {}

    public static void main(String[] arguments) throws InterruptedException {
        EmulatedCuda.isLoaded();
        if (arguments.length > 0) streams();
        else forgets();
    }

    /** Streams pieces that grow and shrink, each of which takes memory of its own size at most. */
    private static void streams() {
        long before = EmulatedCuda.freeMemory();
        float[] values = new float[6144];
        try (StreamingClip clip = StreamingClip.of(ClipRule.globalNorm(1), Backend.CUDA, 1)) {
            for (int length : new int[] {2048, 4096, 2048, 6144}) {
                clip.measure(HostBuffer.wrap(values, 0, length));
                clip.endTensor("tensor of " + length);
            }
            clip.decide();
        }
        System.out.println("free=" + (EmulatedCuda.freeMemory() == before));
    }

    private static void forgets() throws InterruptedException {
        ByteArrayOutputStream log = new ByteArrayOutputStream();
        System.setErr(new PrintStream(log, true, StandardCharsets.UTF_8));
        long before = EmulatedCuda.freeMemory();
        forget();
        boolean free = false;
        long deadline = System.nanoTime() + 50_000_000_000L;
        while (System.nanoTime() < deadline && !free) {
            System.gc();
            Thread.sleep(20);
            // A report takes several writes, of which the advice is the last.
            int reports = log.toString(StandardCharsets.UTF_8).split("to see where it came from", -1).length - 1;
            free = EmulatedCuda.freeMemory() == before && reports == 3;
        }
        System.out.println("free=" + free);
        System.out.println(log.toString(StandardCharsets.UTF_8));
    }

    private static void forget() {
        CudaStream.create().synchronize();
        DeviceBuffer forgotten = DeviceBuffer.allocate(DType.FLOAT32, 1000);
        DeviceBuffer closed = DeviceBuffer.allocate(DType.FLOAT64, 77);
        GradientClipper clipper = GradientClipper.of(forgotten, closed);
        closed.close();
        clipper.clipByGlobalNormAsync(1, CudaStream.DEFAULT);
    }
}
