// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.ref.WeakReference;
import java.nio.charset.StandardCharsets;

/** Forgets a clipper, or closes one, and prints the log once it is collected. */
final class LeakProbe {
    private LeakProbe() {}

    public static void main(String[] arguments) throws InterruptedException {
        ByteArrayOutputStream log = new ByteArrayOutputStream();
        System.setErr(new PrintStream(log, true, StandardCharsets.UTF_8));
        boolean close = arguments[0].equals("close");
        WeakReference<GradientClipper> reference = new WeakReference<>(clipper(close));
        if (close) forgetAnother();
        long deadline = System.nanoTime() + 50_000_000_000L;
        while (System.nanoTime() < deadline && !hasReport(log)) {
            System.gc();
            Thread.sleep(20);
        }
        System.out.println("collected=" + reference.refersTo(null));
        System.out.println(log.toString(StandardCharsets.UTF_8));
    }

    /** Returns true once a report is complete: its last write is the advice, or main's frame of the stack trace. */
    private static boolean hasReport(ByteArrayOutputStream log) {
        String text = log.toString(StandardCharsets.UTF_8);
        return text.contains("to see where it came from") || text.contains("LeakProbe.main");
    }

    /** Forgets a second clipper; once it is reported, one that was collected before it has been reported too. */
    private static void forgetAnother() {
        GradientClipper.of(HostBuffer.wrap(new float[1])).globalNorm();
    }

    private static GradientClipper clipper(boolean close) {
        GradientClipper clipper = GradientClipper.of(HostBuffer.wrap(new float[10]), HostBuffer.wrap(new float[3]));
        clipper.globalNorm();
        if (close) clipper.close();
        Gradients.globalNorm(new float[5]);
        return clipper;
    }
}
