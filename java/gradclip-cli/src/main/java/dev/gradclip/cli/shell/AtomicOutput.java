// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

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
 * A file that appears whole or not at all: it is written beside its target, synced, then renamed over it. Closing it,
 * or ending the process by a signal, removes a file that was not committed.
 */
public final class AtomicOutput implements AutoCloseable {
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

    /** Creates the temporary file, with the permissions of the file that it replaces, if there is one. */
    public static AtomicOutput create(OutputTarget target) throws IOException {
        return create(target, true);
    }

    /**
     * Creates another one in the folder of one that is not committed yet. Leftovers are not looked for again: on Linux,
     * opening and closing the first one's file to see whether it is locked would end its lock.
     */
    public static AtomicOutput createAnother(OutputTarget target) throws IOException {
        return create(target, false);
    }

    private static AtomicOutput create(OutputTarget target, boolean first) throws IOException {
        Path temporary = target.folder().resolve(Leftovers.name(new SecureRandom().nextLong()));
        try {
            AtomicOutput output = new AtomicOutput(target, temporary);
            try {
                Runtime.getRuntime().addShutdownHook(output.removal);
                output.lock();
                if (first) output.removeLeftovers();
                output.keepOwnerAndPermissions();
                return output;
            } catch (IOException | RuntimeException | Error e) {
                output.close();
                throw e;
            }
        } catch (IOException e) {
            throw unwritten(target, e);
        }
    }

    /** Writes a whole file. */
    public static void write(OutputTarget target, byte[] bytes) throws IOException {
        try (AtomicOutput output = create(target)) {
            output.write(ByteBuffer.wrap(bytes));
            output.commit();
        }
    }

    private static IOException unwritten(OutputTarget target, IOException e) {
        return new IOException(target.requested() + ": cannot be written, and is as it was: " + Reason.of(e), e);
    }

    /** Locks the file until it is closed, which tells others that it is no leftover. */
    private void lock() {
        try {
            // Closing the channel ends it.
            if (channel.tryLock() == null) throw new IOException("locked by another process");
        } catch (IOException e) {
            // On a file system without locks nothing is taken for a leftover either.
        }
    }

    private void removeLeftovers() {
        try {
            Leftovers.remove(target.folder(), temporary);
        } catch (IOException | UnsupportedOperationException e) {
            // They are in nobody's way; the next run tries again.
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

    public void write(ByteBuffer bytes) throws IOException {
        try {
            while (bytes.hasRemaining()) channel.write(bytes);
        } catch (IOException e) {
            throw unwritten(target, e);
        }
    }

    /** Puts the file in its place; from then on it survives a crash. */
    public void commit() throws IOException {
        try {
            channel.force(true);
            rename();
        } catch (IOException e) {
            throw unwritten(target, e);
        }
        try {
            syncFolder(target.folder());
        } catch (IOException e) {
            throw new WrittenException(
                    target.requested(),
                    "its folder cannot be synced, so a power failure could undo it: " + Reason.of(e),
                    e);
        }
    }

    private synchronized void rename() throws IOException {
        if (ended) throw new IOException("interrupted before the output was complete");
        Files.move(temporary, target.path(), StandardCopyOption.ATOMIC_MOVE);
        ended = true;
    }

    static void syncFolder(Path folder) throws IOException {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (AccessDeniedException e) {
            // A folder that may be written but not read cannot be synced; the file itself was.
        } catch (IOException e) {
            // What a file system says that has no such thing for folders, as some over a network; EINVAL has no type in
            // Java.
            if (!"Invalid argument".equals(e.getMessage())) throw e;
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
