// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.Set;

/**
 * A file that appears whole or not at all: written beside its target, synced, then renamed over it. Closing it, or ending
 * the process by a signal, removes what was not committed.
 */
final class AtomicOutput implements AutoCloseable {
    private final OutputTarget target;
    private final Path temporary;
    private final FileChannel channel;
    private final Thread removal = new Thread(this::discard, "gradclip-remove-temporary");
    private boolean ended;

    private AtomicOutput(OutputTarget target, Path temporary) throws IOException {
        this.target = target;
        this.temporary = temporary;
        this.channel = FileChannel.open(
                temporary, Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), permissions(target));
    }

    /** Creates the temporary file, with the permissions of the file it is to replace, else the process's default. */
    static AtomicOutput create(OutputTarget target) throws IOException {
        // Not the target's name with a suffix: that could be longer than a name may be.
        String name = String.format(".gradclip-%016x.tmp", new SecureRandom().nextLong());
        AtomicOutput output = new AtomicOutput(target, target.folder().resolve(name));
        try {
            Runtime.getRuntime().addShutdownHook(output.removal);
            output.keepOwnerAndPermissions();
            return output;
        } catch (IOException | RuntimeException | Error e) {
            output.close();
            throw e;
        }
    }

    private static FileAttribute<?>[] permissions(OutputTarget target) {
        PosixFileAttributes existing = target.existing();
        return existing == null
                ? new FileAttribute<?>[0]
                : new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(existing.permissions())};
    }

    private void keepOwnerAndPermissions() throws IOException {
        PosixFileAttributes existing = target.existing();
        if (existing == null) return;
        PosixFileAttributeView view = Files.getFileAttributeView(temporary, PosixFileAttributeView.class);
        PosixFileAttributes mine = view.readAttributes();
        try {
            if (!mine.group().equals(existing.group())) view.setGroup(existing.group());
            if (!mine.owner().equals(existing.owner())) view.setOwner(existing.owner());
        } catch (IOException e) {
            // Only root may give a file away; as with an editor, it then belongs to who wrote it.
        }
        view.setPermissions(existing.permissions());
    }

    void write(ByteBuffer bytes) throws IOException {
        try {
            while (bytes.hasRemaining()) channel.write(bytes);
        } catch (IOException e) {
            throw new IOException(target.path() + ": cannot be written, and is as it was: " + e.getMessage(), e);
        }
    }

    /** Puts the file in its place; from then on it survives a crash. */
    void commit() throws IOException {
        channel.force(true);
        channel.close();
        rename();
        syncFolder();
    }

    private synchronized void rename() throws IOException {
        if (ended) throw new IOException("interrupted before the output was complete");
        Files.move(temporary, target.path(), StandardCopyOption.ATOMIC_MOVE);
        ended = true;
    }

    private void syncFolder() throws IOException {
        try (FileChannel folder = FileChannel.open(target.folder(), StandardOpenOption.READ)) {
            folder.force(true);
        } catch (AccessDeniedException e) {
            // A folder that may be written but not read cannot be synced; the file itself was.
        }
    }

    private synchronized void discard() {
        if (ended) return;
        ended = true;
        try {
            Files.deleteIfExists(temporary);
        } catch (IOException e) {
            // The failure that led here is what is reported.
        }
    }

    @Override
    public void close() throws IOException {
        try {
            channel.close();
        } finally {
            discard();
            removeHook();
        }
    }

    private void removeHook() {
        try {
            Runtime.getRuntime().removeShutdownHook(removal);
        } catch (IllegalStateException e) {
            // The process is ending and the hook runs by itself.
        }
    }
}
