// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.EmulatedCuda;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Forgets a device buffer, a stream and a clipper, and prints what was logged and whether the memory is free again. */
final class DeviceLeakProbe {
    private DeviceLeakProbe() {}

    public static void main(String[] arguments) throws InterruptedException {
        EmulatedCuda.isLoaded();
        ByteArrayOutputStream log = new ByteArrayOutputStream();
        System.setErr(new PrintStream(log, true, StandardCharsets.UTF_8));
        long before = EmulatedCuda.freeMemory();
        forget();
        boolean free = false;
        long deadline = System.nanoTime() + 20_000_000_000L;
        while (System.nanoTime() < deadline && !free) {
            System.gc();
            Thread.sleep(20);
            free = EmulatedCuda.freeMemory() == before
                    && log.toString(StandardCharsets.UTF_8).contains("CudaStream");
        }
        // What is logged takes several writes.
        Thread.sleep(200);
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
