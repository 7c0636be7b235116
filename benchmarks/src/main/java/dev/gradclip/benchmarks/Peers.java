// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * The peers that are built, each in a process of its own with this library: their native parts do not bear each other.
 */
final class Peers {
    private final Path folder;
    private final int threads;

    /** The peers under {@code benchmarks/peers}. */
    Peers(Path folder, int threads) {
        this.folder = folder;
        this.threads = threads;
    }

    List<String> built() throws IOException {
        if (!Files.isDirectory(folder)) return List.of();
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(peer -> Files.exists(peer.resolve("target/peer.jar")))
                    .map(peer -> peer.getFileName().toString())
                    .sorted()
                    .toList();
        }
    }

    /** Runs {@link Duel} with a peer beside contenders of this library, each called so many times a turn. */
    List<DuelSample> duel(
            String peer, String workload, String dtype, String own, String cases, double seconds, int again)
            throws IOException, InterruptedException {
        Path target = folder.resolve(peer).resolve("target");
        String classPath = System.getProperty("java.class.path") + ":" + target.resolve("peer.jar") + ":"
                + target.resolve("lib") + "/*";
        ProcessBuilder builder = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx3g",
                        "-XX:MaxDirectMemorySize=8g",
                        // JavaCPP counts the memory of the whole process against limits of its own.
                        "-Dorg.bytedeco.javacpp.maxbytes=0",
                        "-Dorg.bytedeco.javacpp.maxphysicalbytes=0",
                        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                        "-cp",
                        classPath,
                        Duel.class.getName(),
                        "--workload=" + workload,
                        "--dtype=" + dtype,
                        "--own=" + own,
                        "--cases=" + cases,
                        "--seconds=" + seconds,
                        "--again=" + again,
                        "--threads=" + threads)
                .redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().put("OPT_OUT_TRACKING", "true");
        Process process = builder.start();
        List<DuelSample> samples = new ArrayList<>();
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.startsWith("{")) samples.add(DuelSample.ofLine(line));
            }
        }
        // 1: a contender was wrong somewhere, and has said so.
        if (process.waitFor() > 1) throw new IOException("the duel with " + peer + " over " + workload + " failed");
        return samples;
    }
}
