// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.Backend;
import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import java.nio.FloatBuffer;

/**
 * A program that clips for the first time and prints the nanoseconds of each part; its argument is when it was started.
 */
final class FirstClip {
    static final int TENSORS = 100;
    static final int LENGTH = 10_240;

    private FirstClip() {}

    /** Runs it. */
    public static void main(String[] args) throws ClassNotFoundException {
        // On Linux this clock is the machine's, the same in every process.
        long main = System.nanoTime();
        Class.forName(GradientClipper.class.getName());
        Class.forName(HostBuffer.class.getName());
        Class.forName(ClipRule.class.getName());
        long loaded = System.nanoTime();
        Backend backend = Backend.preferred();
        long library = System.nanoTime();
        GradientClipperBuilder builder = GradientClipper.builder().backend(backend);
        for (int i = 0; i < TENSORS; i++) builder.add(gradient());
        long filled = System.nanoTime();
        try (GradientClipper clipper = builder.build()) {
            long bound = System.nanoTime();
            clipper.clipByGlobalNorm(1);
            long first = System.nanoTime();
            clipper.clipByGlobalNorm(0.5);
            long second = System.nanoTime();
            System.out.println(main - Long.parseLong(args[0]) + " " + (loaded - main) + " " + (library - loaded) + " "
                    + (bound - filled) + " " + (first - bound) + " " + (second - first));
        }
    }

    private static HostBuffer gradient() {
        HostBuffer buffer = HostBuffer.allocate(DType.FLOAT32, LENGTH);
        FloatBuffer floats = (FloatBuffer) buffer.memory().get(0);
        for (int i = 0; i < LENGTH; i++) floats.put(i, 1);
        return buffer;
    }
}
