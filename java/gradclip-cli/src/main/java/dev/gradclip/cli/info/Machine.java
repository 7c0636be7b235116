// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.info;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Describes the machine, as far as it matters to clipping. */
final class Machine {
    /** The flags of x86-64 and aarch64 that the backends can use. */
    private static final List<String> SIMD =
            List.of("sse4_2", "avx", "avx2", "f16c", "avx512f", "avx512bw", "avx512vl", "asimd", "fphp", "bf16");

    private Machine() {}

    static int threads() {
        return Runtime.getRuntime().availableProcessors();
    }

    /** Returns the other facts, by the names that reports give them. */
    static Map<String, String> facts() {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("fma", fma());
        facts.put("simd", simd());
        facts.put("jvm", jvm());
        facts.put("os", os());
        return facts;
    }

    /** Returns {@code yes}, {@code no} or {@code unknown}; norms are the same bits with and without. */
    private static String fma() {
        // Part of every 64-bit ARM processor.
        if (System.getProperty("os.arch", "").equals("aarch64")) return "yes";
        List<String> flags = flags();
        return flags.isEmpty() ? "unknown" : flags.contains("fma") ? "yes" : "no";
    }

    private static String simd() {
        List<String> flags = flags();
        return flags.isEmpty()
                ? "unknown"
                : String.join(" ", SIMD.stream().filter(flags::contains).toList());
    }

    private static String jvm() {
        return property("java.vm.name") + " " + property("java.runtime.version") + ", " + property("java.vendor");
    }

    private static String os() {
        return property("os.name") + " " + property("os.version") + ", " + property("os.arch");
    }

    private static List<String> flags() {
        try {
            return Files.readAllLines(Path.of("/proc/cpuinfo")).stream()
                    .filter(line -> line.startsWith("flags") || line.startsWith("Features"))
                    .findFirst()
                    .map(line -> Arrays.asList(
                            line.substring(line.indexOf(':') + 1).strip().split(" ", -1)))
                    .orElse(List.of());
        } catch (IOException e) {
            return List.of();
        }
    }

    private static String property(String key) {
        return System.getProperty(key, "unknown");
    }
}
