// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Runs {@link FirstClip} in JVMs of its own and sorts what they print. */
final class StartTimes {
    private static final List<String> PARTS =
            List.of("JVM start", "classes", "library", "bind", "first clip", "second clip");

    private StartTimes() {}

    static List<Scaling.Start> measure(int runs) throws IOException, InterruptedException {
        double[][] millis = new double[PARTS.size()][runs];
        for (int run = 0; run < runs; run++) {
            String[] fields = run().split(" ", -1);
            for (int part = 0; part < PARTS.size(); part++) millis[part][run] = Long.parseLong(fields[part]) / 1e6;
        }
        List<Scaling.Start> result = new ArrayList<>();
        for (int part = 0; part < PARTS.size(); part++) {
            Arrays.sort(millis[part]);
            result.add(new Scaling.Start(
                    PARTS.get(part), millis[part][runs / 2], millis[part][0], millis[part][runs - 1]));
        }
        return result;
    }

    private static String run() throws IOException, InterruptedException {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        FirstClip.class.getName(),
                        Long.toString(System.nanoTime()))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String line = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        if (process.waitFor() != 0) throw new IOException("the JVM that clips for the first time failed");
        return line;
    }
}
