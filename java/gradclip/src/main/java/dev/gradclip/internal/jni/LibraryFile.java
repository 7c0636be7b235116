// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.time.Duration;
import java.time.Instant;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A native library's file, loaded once. If {@code -Ddev.gradclip.native.path=FOLDER} is set, only that folder is used.
 * Otherwise the library in the jar is copied to a new private folder, which is removed after loading, so that JVMs that
 * start together do not share a file.
 */
final class LibraryFile {
    static final String PATH_PROPERTY = "dev.gradclip.native.path";
    private static final String PREFIX = "gradclip-";
    private static final int MOST_NAMES = 1000;
    private static final int MOST_LOOKED_AT = 10_000;
    private static final String BUILD_ID_FILE = "gradclip.build-id";

    private final String location;
    private final @Nullable String expectedBuildId;

    private LibraryFile(String location, @Nullable String expectedBuildId) {
        this.location = location;
        this.expectedBuildId = expectedBuildId;
    }

    /** Returns the folder that the property names, or null. */
    static @Nullable Path namedFolder() {
        String folder = System.getProperty(PATH_PROPERTY);
        return folder == null ? null : Path.of(folder).toAbsolutePath();
    }

    /**
     * Loads a library from the named folder, else from a jar; returns null where no jar holds it.
     */
    static @Nullable LibraryFile load(String file) throws NotLoadedException, IOException {
        Path folder = namedFolder();
        if (folder != null) return loadFrom(folder, file);
        String expected = buildIdOfJar();
        if (expected == null || !isInJar(file)) return null;
        return new LibraryFile(extractAndLoad(file), expected);
    }

    private static boolean isInJar(String file) {
        if (LibraryFile.class.getResource(name(file)) != null) return true;
        ClassLoader loader = LibraryFile.class.getClassLoader();
        return loader != null && loader.getResource(name(file).substring(1)) != null;
    }

    /** Opens a file of this jar, or of another one: the CUDA library has jars of its own. */
    private static @Nullable InputStream open(String file) {
        InputStream own = LibraryFile.class.getResourceAsStream(name(file));
        if (own != null) return own;
        // As a module this class finds what lies in its own module alone; its class loader finds the rest.
        ClassLoader loader = LibraryFile.class.getClassLoader();
        return loader == null ? null : loader.getResourceAsStream(name(file).substring(1));
    }

    /** Loads a library from a folder, without falling back to the jar. */
    static LibraryFile loadFrom(Path folder, String file) throws NotLoadedException, IOException {
        Path path = folder.resolve(file);
        if (!Files.isRegularFile(path)) {
            throw new NotLoadedException(
                    path + " does not exist",
                    "-D" + PATH_PROPERTY + " names the folder of " + file
                            + " and is used alone; correct it or leave it out");
        }
        System.load(path.toString());
        return new LibraryFile(path.toString(), buildIdOfJar());
    }

    /** The path of the library, or its entry in the jar. */
    String location() {
        return location;
    }

    /** Returns file, version and build id; throws if the library was built from other sources than this jar. */
    Map<String, String> check(String found) throws NotLoadedException {
        if (expectedBuildId != null && !expectedBuildId.equals(found)) {
            throw new NotLoadedException(
                    location + " was built from other sources: its build id is " + found + ", this jar's is "
                            + expectedBuildId,
                    "Use the library that belongs to this jar, or leave -D" + PATH_PROPERTY + " out");
        }
        Map<String, String> details = new LinkedHashMap<>();
        details.put("library", location);
        details.put("version", found.contains("+") ? found.substring(0, found.indexOf('+')) : found);
        details.put("build id", found);
        return details;
    }

    private static String extractAndLoad(String library) throws IOException {
        Path folder = newPrivateFolder();
        Path file = folder.resolve(library);
        try {
            try (InputStream in = open(library)) {
                if (in == null) throw new IOException("the jar no longer holds " + name(library));
                Files.copy(in, file);
            }
            System.load(file.toString());
            removeStale(folder);
            return "jar:" + name(library);
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

    /**
     * Makes a folder that nobody else can enter. Its name need not be a secret, because a folder that is there already is
     * never taken: {@code Files.createTempDirectory} starts the JDK's random numbers, some 80 classes that a first clip
     * would wait for.
     */
    private static Path newPrivateFolder() throws IOException {
        Path parent = Path.of(System.getProperty("java.io.tmpdir", "/tmp"));
        FileAttribute<?> mine = PosixFilePermissions.asFileAttribute(EnumSet.of(
                PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE, PosixFilePermission.OWNER_EXECUTE));
        for (int i = 1; ; i++) {
            Path folder = parent.resolve(PREFIX + (System.nanoTime() & Long.MAX_VALUE));
            try {
                return Files.createDirectory(folder, mine);
            } catch (FileAlreadyExistsException e) {
                if (i == MOST_NAMES) throw e;
            }
        }
    }

    /** Returns true for a name that {@link #newPrivateFolder} gives. */
    private static boolean isOurs(String name) {
        if (!name.startsWith(PREFIX) || name.length() == PREFIX.length()) return false;
        for (int i = PREFIX.length(); i < name.length(); i++) {
            if (name.charAt(i) < '0' || name.charAt(i) > '9') return false;
        }
        return true;
    }

    /**
     * Removes folders of this user, at least a day old, of JVMs that were killed while they loaded a library. Every
     * start does this, so the number of entries looked at is limited.
     */
    private static void removeStale(Path own) {
        int looked = 0;
        try (DirectoryStream<Path> all = Files.newDirectoryStream(own.getParent())) {
            for (Path folder : all) {
                if (++looked > MOST_LOOKED_AT) return;
                if (isOurs(folder.getFileName().toString()) && !folder.equals(own)) removeIfStale(folder, own);
            }
        } catch (IOException | RuntimeException e) {
            // A later start tries again.
        }
    }

    /** Asks for owner and time of a folder of ours alone: a first clip need not wait for the names of users. */
    private static void removeIfStale(Path folder, Path own) throws IOException {
        if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) return;
        UserPrincipal user = Files.getOwner(own, LinkOption.NOFOLLOW_LINKS);
        if (!user.equals(Files.getOwner(folder, LinkOption.NOFOLLOW_LINKS))) return;
        FileTime yesterday = FileTime.from(Instant.now().minus(Duration.ofDays(1)));
        FileTime written = Files.getLastModifiedTime(folder, LinkOption.NOFOLLOW_LINKS);
        if (written.compareTo(yesterday) < 0) remove(folder);
    }

    /** Removes a folder and the libraries in it; keeps a folder that holds anything else. */
    private static void remove(Path folder) throws IOException {
        try (DirectoryStream<Path> libraries = Files.newDirectoryStream(folder, "libgradclip*.so")) {
            for (Path library : libraries) Files.deleteIfExists(library);
        }
        try {
            Files.deleteIfExists(folder);
        } catch (DirectoryNotEmptyException e) {
            // The folder is not one of this library's.
        }
    }

    private static @Nullable String buildIdOfJar() throws IOException {
        try (InputStream in = LibraryFile.class.getResourceAsStream(name(BUILD_ID_FILE))) {
            return in == null ? null : new String(in.readAllBytes(), StandardCharsets.UTF_8).strip();
        }
    }

    private static String name(String file) {
        return "/dev/gradclip/internal/native/" + platform() + "/" + file;
    }

    static String platform() {
        String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
        String arch = System.getProperty("os.arch", "").toLowerCase(Locale.ROOT);
        return (os.startsWith("linux") ? "linux" : os.replace(' ', '-')) + "-"
                + (arch.equals("amd64") ? "x86_64" : arch);
    }
}
