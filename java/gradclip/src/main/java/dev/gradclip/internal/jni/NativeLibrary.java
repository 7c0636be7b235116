// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import java.util.Map;

/** Loads the native CPU library once and keeps the outcome. */
public final class NativeLibrary {
    static final String SIMD_PROPERTY = "dev.gradclip.simd";
    private static final NativeLibrary INSTANCE = load();

    private final Availability availability;
    private final int level;

    private NativeLibrary(Availability availability, int level) {
        this.availability = availability;
        this.level = level;
    }

    /** Returns the outcome of loading, the same object each time. */
    public static NativeLibrary instance() {
        return INSTANCE;
    }

    public Availability availability() {
        return availability;
    }

    /** Returns true if native code can run here. */
    public boolean isLoaded() {
        return availability.available();
    }

    /** The SIMD level in use. */
    public int level() {
        return level;
    }

    private static NativeLibrary load() {
        try {
            LibraryFile file = LibraryFile.load("libgradclip.so");
            if (file == null) {
                throw new NotLoadedException(
                        "this jar holds no native library for " + LibraryFile.platform(),
                        "Use linux-x86_64 or linux-aarch64 with a jar built where cmake, g++ and Highway were "
                                + "found; plain Java serves everywhere");
            }
            Map<String, String> details = file.check(NativeCpu.buildId());
            int usable = NativeCpu.usableLevels();
            if (usable == 0) {
                throw new NotLoadedException(
                        "the processor lacks SSE4.2, the least that the library needs", "Plain Java serves here");
            }
            int level = level(usable);
            details.put("simd", NativeCpu.levelName(level));
            details.put("usable simd", names(usable));
            return new NativeLibrary(Availability.yes(file.location(), details), level);
        } catch (NotLoadedException e) {
            return new NativeLibrary(e.availability(), -1);
        } catch (Exception | LinkageError e) {
            return new NativeLibrary(Availability.no(e, "See the message; plain Java serves meanwhile"), -1);
        }
    }

    /** Returns the level that the property names, else the best. */
    private static int level(int usable) throws NotLoadedException {
        String wanted = System.getProperty(SIMD_PROPERTY);
        if (wanted == null) return usable - 1;
        for (int i = 0; i < usable; i++) if (NativeCpu.levelName(i).equals(wanted)) return i;
        throw new NotLoadedException(
                "-D" + SIMD_PROPERTY + "=" + wanted + " is not a level this processor runs",
                "Choose one of: " + names(usable));
    }

    private static String names(int usable) {
        StringBuilder names = new StringBuilder();
        for (int i = 0; i < usable; i++) names.append(i == 0 ? "" : " ").append(NativeCpu.levelName(i));
        return names.toString();
    }
}
