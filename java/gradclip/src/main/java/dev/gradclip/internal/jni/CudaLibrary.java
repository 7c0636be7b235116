// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import dev.gradclip.CudaException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Loads the CUDA library at first use and keeps the outcome. The library that emulates a device is loaded only from a
 * named folder that holds it and not the real one, or by tests.
 */
public final class CudaLibrary {
    private static final String FILE = "libgradclip_cuda.so";
    private static final String EMULATED_FILE = "libgradclip_cuda_emulated.so";
    private static final String ELSE = "host memory is clipped by NATIVE or JAVA";
    private static @Nullable Path emulatedForTests;
    private static @Nullable CudaLibrary instance;

    private final Availability availability;

    private CudaLibrary(Availability availability) {
        this.availability = availability;
    }

    /** Returns the outcome of loading, the same object each time. */
    public static synchronized CudaLibrary instance() {
        if (instance == null) instance = new CudaLibrary(load());
        return instance;
    }

    /** Sets the folder of the emulated library; to be called before {@link #instance}, by tests. */
    static synchronized void useEmulated(Path folder) {
        if (instance != null) throw new IllegalStateException("a CUDA library was asked for before");
        emulatedForTests = folder.toAbsolutePath();
    }

    public Availability availability() {
        return availability;
    }

    /** Returns facts about the library and about each device at the moment. */
    public Map<String, String> details() {
        if (!availability.available()) return availability.details();
        Map<String, String> details = new LinkedHashMap<>(availability.details());
        for (int device = 0; device < NativeCuda.devices(); device++) describe(device, details);
        return details;
    }

    private static void describe(int device, Map<String, String> details) {
        String prefix = "device " + device;
        try {
            for (String line : NativeCuda.describe(device).split("\n", -1)) {
                int equals = line.indexOf('=');
                if (equals > 0) details.put(prefix + " " + line.substring(0, equals), line.substring(equals + 1));
            }
        } catch (CudaException e) {
            details.put(prefix, String.valueOf(e.getMessage()));
        }
    }

    private static Availability load() {
        try {
            LibraryFile file = loadFile();
            Map<String, String> details = file.check(NativeCuda.buildId());
            if (NativeCuda.emulated()) details.put("emulated", "kernels run on the processor, for tests");
            String unavailable = NativeCuda.unavailable();
            if (unavailable != null) {
                throw new NotLoadedException(
                        unavailable, "Use a machine with an NVIDIA GPU and a driver for it; " + ELSE);
            }
            return Availability.yes(file.location(), details);
        } catch (NotLoadedException e) {
            return e.availability();
        } catch (Exception | LinkageError e) {
            return Availability.no(e, "See the message; " + ELSE);
        }
    }

    private static LibraryFile loadFile() throws NotLoadedException, IOException {
        if (emulatedForTests != null) return LibraryFile.loadFrom(emulatedForTests, EMULATED_FILE);
        Path folder = LibraryFile.namedFolder();
        if (folder != null && !Files.exists(folder.resolve(FILE)) && Files.exists(folder.resolve(EMULATED_FILE))) {
            return LibraryFile.loadFrom(folder, EMULATED_FILE);
        }
        LibraryFile file = LibraryFile.load(FILE);
        if (file == null) {
            throw new NotLoadedException(
                    "this jar holds no CUDA library for " + LibraryFile.platform(),
                    "Add gradclip's jar with the classifier cuda12 or cuda13, or use one built where nvcc was found; "
                            + ELSE);
        }
        return file;
    }
}
