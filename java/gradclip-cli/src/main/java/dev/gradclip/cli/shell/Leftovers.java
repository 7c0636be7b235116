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
 * Temporary files of the same user that a killed process left beside its output. Whoever writes one locks it before the
 * first byte, and the lock ends with the process.
 */
public final class Leftovers {
    /**
     * The age from which a file counts as left over where a lock reaches no further than this machine: a file in use is
     * written all the time.
     */
    public static final Duration AGE = Duration.ofMinutes(10);

    /** File systems of one machine: what is not locked there is written by nobody. */
    private static final Set<String> LOCAL =
            Set.of("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay");

    private static final Pattern NAME = Pattern.compile("\\.gradclip-[0-9a-f]{16}\\.tmp");

    private Leftovers() {}

    /** The name of a new one. Not the target's name with a suffix: that could be longer than a name may be. */
    public static String name(long random) {
        return String.format(".gradclip-%016x.tmp", random);
    }

    /**
     * Removes those in a folder; a temporary file made there just now says by its owner and time whose and how old they
     * are.
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

    /**
     * Returns true if only this machine writes there. Where that can't be found out, as in a folder that was made the
     * root of a system, it counts as shared.
     */
    public static boolean isLocal(Path file) {
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
