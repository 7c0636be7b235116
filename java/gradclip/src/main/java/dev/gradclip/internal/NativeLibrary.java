// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Loads the native CPU library once and remembers how that went. {@code -Ddev.gradclip.native.path=FOLDER} is used alone;
 * else the library in the jar is copied to a fresh private folder, which is gone again once it is loaded, so that JVMs
 * starting together never meet.
 */
public final class NativeLibrary {
    static final String PATH_PROPERTY = "dev.gradclip.native.path";
    static final String SIMD_PROPERTY = "dev.gradclip.simd";
    private static final String FILE = "libgradclip.so";
    private static final String BUILD_ID_FILE = "gradclip.build-id";
    private static final NativeLibrary INSTANCE = load();

    private final boolean loaded;
    private final String reason;
    private final String remedy;
    private final int level;
    private final Map<String, String> details;

    private NativeLibrary(boolean loaded, String reason, String remedy, int level, Map<String, String> details) {
        this.loaded = loaded;
        this.reason = reason;
        this.remedy = remedy;
        this.level = level;
        this.details = details;
    }

    /** How loading went, the same answer each time. */
    public static NativeLibrary instance() {
        return INSTANCE;
    }

    /** Whether native code can run here. */
    public boolean isLoaded() {
        return loaded;
    }

    /** Why it can, or cannot. */
    public String reason() {
        return reason;
    }

    /** What to do where it cannot. */
    public String remedy() {
        return remedy;
    }

    /** The SIMD level in use. */
    public int level() {
        return level;
    }

    /** File, version, build id and SIMD level, for people. */
    public Map<String, String> details() {
        return details;
    }

    private static NativeLibrary load() {
        try {
            String folder = System.getProperty(PATH_PROPERTY);
            String expected = resource(BUILD_ID_FILE);
            String file;
            if (folder != null) {
                Path path = Path.of(folder, FILE).toAbsolutePath();
                if (!Files.isRegularFile(path)) {
                    return failed(
                            path + " does not exist",
                            "-D" + PATH_PROPERTY + " names the folder of " + FILE
                                    + " and is used alone; correct it or leave it out");
                }
                System.load(path.toString());
                file = path.toString();
            } else {
                if (expected == null) {
                    return failed(
                            "this jar holds no native library for " + platform(),
                            "Use linux-x86_64 or linux-aarch64 with a jar built where cmake, g++ and Highway were found; "
                                    + "plain Java serves everywhere");
                }
                file = extractAndLoad();
            }
            return check(file, expected);
        } catch (IOException | UnsatisfiedLinkError | SecurityException e) {
            return failed(e.toString(), "See the message; plain Java serves meanwhile");
        }
    }

    private static NativeLibrary check(String file, @Nullable String expected) {
        String found = NativeCpu.buildId();
        if (expected != null && !expected.equals(found)) {
            return failed(
                    file + " was built from other sources: its build id is " + found + ", this jar's is " + expected,
                    "Use the library that belongs to this jar, or leave -D" + PATH_PROPERTY + " out");
        }
        int usable = NativeCpu.usableLevels();
        if (usable == 0) {
            return failed("the processor lacks SSE4.2, the least that the library needs", "Plain Java serves here");
        }
        StringBuilder names = new StringBuilder();
        int level = usable - 1;
        boolean known = false;
        String wanted = System.getProperty(SIMD_PROPERTY);
        for (int i = 0; i < usable; i++) {
            names.append(i == 0 ? "" : " ").append(NativeCpu.levelName(i));
            if (NativeCpu.levelName(i).equals(wanted)) {
                level = i;
                known = true;
            }
        }
        if (wanted != null && !known) {
            return failed(
                    "-D" + SIMD_PROPERTY + "=" + wanted + " is not a level this processor runs",
                    "Choose one of: " + names);
        }
        Map<String, String> details = new LinkedHashMap<>();
        details.put("library", file);
        details.put("version", found.contains("+") ? found.substring(0, found.indexOf('+')) : found);
        details.put("build id", found);
        details.put("simd", NativeCpu.levelName(level));
        details.put("usable simd", names.toString());
        return new NativeLibrary(true, "loaded from " + file, "", level, Collections.unmodifiableMap(details));
    }

    private static String extractAndLoad() throws IOException {
        Path folder = Files.createTempDirectory(
                "gradclip-", PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Path file = folder.resolve(FILE);
        try {
            try (InputStream in = NativeLibrary.class.getResourceAsStream(name(FILE))) {
                if (in == null) throw new IOException("this jar holds a build id but no " + name(FILE));
                Files.copy(in, file);
            }
            System.load(file.toString());
            return "jar:" + name(FILE);
        } catch (UnsatisfiedLinkError e) {
            if (String.valueOf(e.getMessage()).contains("failed to map segment")) {
                throw new IOException(
                        "the temporary folder " + folder.getParent()
                                + " is mounted noexec; set -Djava.io.tmpdir to one that "
                                + "is not, or unpack the library and name its folder with -D" + PATH_PROPERTY,
                        e);
            }
            throw e;
        } finally {
            Files.deleteIfExists(file);
            Files.deleteIfExists(folder);
        }
    }

    private static @Nullable String resource(String file) throws IOException {
        try (InputStream in = NativeLibrary.class.getResourceAsStream(name(file))) {
            return in == null ? null : new String(in.readAllBytes(), StandardCharsets.UTF_8).strip();
        }
    }

    private static String name(String file) {
        return "/dev/gradclip/internal/native/" + platform() + "/" + file;
    }

    private static String platform() {
        String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
        String arch = System.getProperty("os.arch", "").toLowerCase(Locale.ROOT);
        return (os.startsWith("linux") ? "linux" : os.replace(' ', '-')) + "-"
                + (arch.equals("amd64") ? "x86_64" : arch);
    }

    private static NativeLibrary failed(String reason, String remedy) {
        return new NativeLibrary(false, reason, remedy, -1, Map.of());
    }
}
