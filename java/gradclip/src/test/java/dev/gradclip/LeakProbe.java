// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.ref.WeakReference;
import java.nio.charset.StandardCharsets;

/** Forgets a clipper, or closes one, and prints what was logged once it is collected. */
final class LeakProbe {
    private LeakProbe() {}

    public static void main(String[] arguments) throws InterruptedException {
        ByteArrayOutputStream log = new ByteArrayOutputStream();
        System.setErr(new PrintStream(log, true, StandardCharsets.UTF_8));
        boolean close = arguments[0].equals("close");
        WeakReference<GradientClipper> reference = new WeakReference<>(clipper(close));
        long deadline = System.nanoTime() + 20_000_000_000L;
        while (System.nanoTime() < deadline) {
            System.gc();
            Thread.sleep(20);
            if (close ? reference.refersTo(null) : log.size() > 0) break;
        }
        // What is logged takes several writes.
        Thread.sleep(200);
        System.out.println("collected=" + reference.refersTo(null));
        System.out.println(log.toString(StandardCharsets.UTF_8));
    }

    private static GradientClipper clipper(boolean close) {
        GradientClipper clipper = GradientClipper.of(HostBuffer.wrap(new float[10]), HostBuffer.wrap(new float[3]));
        clipper.globalNorm();
        if (close) clipper.close();
        Gradients.globalNorm(new float[5]);
        return clipper;
    }
}
