// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributes;
import java.time.Duration;
import java.time.Instant;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Removes temporary files that a killed process of the same user left beside its output. A writer locks its file before
 * the first byte, and the lock ends with the process.
 */
final class Leftovers {
    /**
     * The age of a leftover where a lock may reach no further than this machine: a file in use is written all the time.
     */
    static final Duration AGE = Duration.ofMinutes(10);

    /** The file systems of one machine: a file there that is not locked is written by nobody. */
    private static final Set<String> LOCAL =
            Set.of("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay");

    private static final Pattern NAME = Pattern.compile("\\.gradclip-[0-9a-f]{16}\\.tmp");

    private Leftovers() {}

    /** Returns a new name; the target's name with a suffix could be longer than a name may be. */
    static String name(long random) {
        return String.format(".gradclip-%016x.tmp", random);
    }

    /**
     * Removes the leftovers in a folder; a file made there just now tells this user and the time of the file system.
     */
    static void remove(Path folder, Path mine) throws IOException {
        PosixFileAttributes own = attributes(mine);
        boolean local = isLocal(mine);
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, ".gradclip-*.tmp")) {
            for (Path file : files) if (mayBeLeft(file, own, local)) removeUnlocked(file);
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
    }

    /** Tells if a file is on a local file system; if that can't be found out, as under a changed root, it is not. */
    static boolean isLocal(Path file) {
        try {
            return LOCAL.contains(Files.getFileStore(file).type());
        } catch (IOException e) {
            return false;
        }
    }

    private static PosixFileAttributes attributes(Path file) throws IOException {
        return Files.readAttributes(file, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    }

    private static boolean mayBeLeft(Path file, PosixFileAttributes own, boolean local) throws IOException {
        if (!NAME.matcher(file.getFileName().toString()).matches()) return false;
        PosixFileAttributes found = attributes(file);
        if (!found.isRegularFile() || !found.owner().equals(own.owner())) return false;
        Instant now = own.lastModifiedTime().toInstant();
        // An empty one may be about to be locked.
        return (local && found.size() > 0)
                || found.lastModifiedTime().toInstant().isBefore(now.minus(AGE));
    }

    private static void removeUnlocked(Path file) throws IOException {
        // A shared lock, for it needs no right to write: an older file's permissions may have been kept.
        try (FileChannel channel = FileChannel.open(file, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS));
                FileLock lock = channel.tryLock(0, Long.MAX_VALUE, true)) {
            if (lock != null) Files.deleteIfExists(file);
        } catch (OverlappingFileLockException e) {
            // This process writes it.
        }
    }
}
