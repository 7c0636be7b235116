// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributes;
import org.jspecify.annotations.Nullable;

/**
 * The file that an output path leads to, found and judged before any work is done.
 *
 * @param requested as the user named it
 * @param path the file itself, symbolic links followed, also one that leads nowhere yet
 * @param folder its folder
 * @param existing attributes of the file that is there; null where none is, or where the system has no permissions
 */
public record OutputTarget(
        Path requested, Path path, Path folder, @Nullable PosixFileAttributes existing) {
    /** The most links that are followed, as by Linux. */
    private static final int MOST_LINKS = 40;

    /**
     * Finds and judges the file that a path leads to.
     *
     * @throws BadFileException if something else than a regular file is there, or no folder
     */
    public static OutputTarget of(Path requested) throws IOException {
        Path path = follow(requested);
        Path folder = folderOf(path);
        if (Files.isDirectory(path)) throw new BadFileException(requested + ": the output is a directory");
        if (Files.exists(path) && !Files.isRegularFile(path)) {
            throw new BadFileException(requested + ": the output is there and is not a regular file");
        }
        if (!Files.isDirectory(folder)) {
            throw new BadFileException(requested + ": there is no folder " + folder + " for the output");
        }
        if (!Files.isWritable(folder) || (Files.exists(path) && !Files.isWritable(path))) {
            throw new IOException(requested + ": you may not write the output");
        }
        return new OutputTarget(requested, path, folder, attributes(path));
    }

    private static @Nullable PosixFileAttributes attributes(Path path) throws IOException {
        boolean posix = path.getFileSystem().supportedFileAttributeViews().contains("posix");
        return posix && Files.exists(path) ? Files.readAttributes(path, PosixFileAttributes.class) : null;
    }

    private static Path folderOf(Path path) {
        Path parent = path.toAbsolutePath().getParent();
        return parent == null ? path.toAbsolutePath() : parent;
    }

    private static Path follow(Path requested) throws IOException {
        Path path = requested;
        for (int i = 0; i < MOST_LINKS; i++) {
            requireOrdinary(requested, path);
            if (!Files.isSymbolicLink(path)) return path;
            path = path.resolveSibling(Files.readSymbolicLink(path));
        }
        if (Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
            throw new BadFileException(requested + ": too many symbolic links follow each other");
        }
        return path;
    }

    /**
     * Refuses devices and links under /proc, which stand for open files and would be replaced; /dev/shm holds files.
     */
    private static void requireOrdinary(Path requested, Path path) throws IOException {
        Path folder = folderOf(path);
        Path real = Files.isDirectory(folder) ? folder.toRealPath() : folder.normalize();
        boolean devices = real.startsWith("/dev") && !real.startsWith("/dev/shm");
        if (!devices && !real.startsWith("/proc")) return;
        throw new BadFileException(requested + ": the output is a stream or a device, which is not a regular file;"
                + " write to a file, and read that");
    }
}
