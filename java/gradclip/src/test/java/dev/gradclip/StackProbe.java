// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.Arrays;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Clips at every depth of a small stack, and prints what is wrong afterwards, or "fine". */
final class StackProbe {
    private static final int LENGTH = 1 << 19;
    private static final int CALLS = 60;

    private final Runnable call;
    private int overflows;
    private int left = CALLS;

    private StackProbe(Runnable call) {
        this.call = call;
    }

    public static void main(String[] arguments) throws InterruptedException {
        ExecutorService threads = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });
        for (Backend backend : Backend.values()) {
            if (backend == Backend.CUDA || !backend.isAvailable()) continue;
            measure(GradientClipper.builder().backend(backend).threads(2));
            measure(GradientClipper.builder().backend(backend).executor(threads, 2));
            write(GradientClipper.builder().backend(backend).threads(2));
        }
        System.out.println("fine");
    }

    private static void measure(GradientClipperBuilder builder) throws InterruptedException {
        float[] gradient = new float[LENGTH];
        gradient[7] = 5;
        try (GradientClipper clipper = builder.add(HostBuffer.wrap(gradient)).build()) {
            clipper.clipByGlobalNorm(10);
            int overflows = 0;
            for (int round = 0; round < 4; round++) {
                overflows += runDeep(() -> clipper.clipByGlobalNorm(10), 256 * 1024 + 4096 * round);
                double norm = clipper.globalNorm();
                if (norm != 5) throw new AssertionError("norm " + norm);
            }
            if (overflows == 0) throw new AssertionError("no call overflowed the stack");
        }
    }

    /** Checks that the clipper is right about changed gradients. */
    private static void write(GradientClipperBuilder builder) throws InterruptedException {
        float[] gradient = new float[LENGTH];
        try (GradientClipper clipper = builder.add(HostBuffer.wrap(gradient)).build()) {
            clipper.clipByValue(1);
            int[] wrong = {0};
            runDeep(
                    () -> {
                        Arrays.fill(gradient, 2);
                        boolean ended = false;
                        try {
                            clipper.clipByValue(1);
                            ended = true;
                        } finally {
                            boolean changed = false;
                            for (float value : gradient) changed |= value != 2;
                            if (!ended && changed && !clipper.isPartlyClipped()) wrong[0]++;
                        }
                        if (gradient[LENGTH - 1] != 1) wrong[0]++;
                    },
                    256 * 1024);
            if (wrong[0] > 0) throw new AssertionError(wrong[0] + " clips left gradients changed and did not say so");
        }
    }

    private static int runDeep(Runnable call, int stackBytes) throws InterruptedException {
        StackProbe probe = new StackProbe(call);
        Thread thread = new Thread(null, probe::descend, "deep", stackBytes);
        thread.setDaemon(true);
        thread.start();
        thread.join(20_000);
        if (thread.isAlive()) throw new AssertionError("hangs: " + Arrays.toString(thread.getStackTrace()));
        return probe.overflows;
    }

    private void descend() {
        try {
            if (left > 0) descend();
        } catch (StackOverflowError e) {
            // This is the deepest frame; each frame from here on up makes a call.
        }
        if (left-- <= 0) return;
        try {
            call.run();
        } catch (StackOverflowError e) {
            overflows++;
        }
    }
}
