// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * An open safetensors file, read in pieces of 8 MiB and never mapped: a file truncated under a mapping kills the JVM.
 */
public final class SafetensorsFile implements AutoCloseable {
    /** The bytes of a piece, a multiple of 8 KiB, the library's unit of reduction. */
    static final int PIECE = 8 << 20;

    private final Path path;
    private final FileChannel channel;
    private final BasicFileAttributes opened;
    private final Header header;
    private final ByteBuffer buffer;

    private SafetensorsFile(Path path, FileChannel channel, BasicFileAttributes opened, Header header) {
        this.path = path;
        this.channel = channel;
        this.opened = opened;
        this.header = header;
        int capacity = (int) Math.min(PIECE, header.dataBytes());
        this.buffer = ByteBuffer.allocateDirect(capacity).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Takes a piece; the buffer is little-endian, from position to limit, and reused afterwards. */
    @FunctionalInterface
    public interface PieceConsumer {
        void accept(ByteBuffer piece) throws IOException;
    }

    /**
     * Opens a file and checks its header.
     *
     * @throws BadFileException if there is no such file, it cannot be read, or it is malformed
     */
    public static SafetensorsFile open(Path path) throws IOException {
        BasicFileAttributes attributes = attributes(path);
        if (attributes.isDirectory()) throw new BadFileException(path + ": is a directory");
        if (!attributes.isRegularFile()) throw new BadFileException(path + ": is not a regular file");
        FileChannel channel = openChannel(path);
        try {
            return new SafetensorsFile(path, channel, attributes, HeaderReader.read(channel));
        } catch (BadFileException e) {
            channel.close();
            throw new BadFileException(path + ": " + e.getMessage(), e);
        } catch (IOException e) {
            channel.close();
            throw new IOException(path + ": cannot be read: " + Reason.of(e), e);
        } catch (RuntimeException | Error e) {
            channel.close();
            throw e;
        }
    }

    private static BasicFileAttributes attributes(Path path) throws BadFileException {
        try {
            return Files.readAttributes(path, BasicFileAttributes.class);
        } catch (IOException e) {
            throw unreadable(path, e);
        }
    }

    private static FileChannel openChannel(Path path) throws BadFileException {
        try {
            return FileChannel.open(path, StandardOpenOption.READ);
        } catch (IOException e) {
            throw unreadable(path, e);
        }
    }

    /** Says why a file cannot be opened. */
    static BadFileException unreadable(Path path, IOException e) {
        String why = e instanceof NoSuchFileException
                ? "there is no such file"
                : e instanceof AccessDeniedException ? "you may not read it" : "cannot be opened: " + Reason.of(e);
        return new BadFileException(path + ": " + why, e);
    }

    public Path path() {
        return path;
    }

    public Header header() {
        return header;
    }

    /** Reads a tensor in pieces, in order; an empty one has none. */
    public void forEachPiece(TensorEntry tensor, PieceConsumer consumer) throws IOException {
        forEachPiece(tensor, 1, consumer);
    }

    /** Reads a tensor in pieces of whole rows, or, if a row exceeds a piece, of one row's parts. */
    public void forEachPiece(TensorEntry tensor, int rows, PieceConsumer consumer) throws IOException {
        long position = header.bytes().length + tensor.begin();
        long rowBytes = tensor.bytes() / rows;
        for (long at = 0; at < tensor.bytes(); ) {
            int count = pieceAt(at, rowBytes, tensor.bytes() - at);
            buffer.clear().limit(count);
            read(position + at);
            consumer.accept(buffer.flip());
            at += count;
        }
    }

    private int pieceAt(long at, long rowBytes, long left) {
        boolean holdsRows = rowBytes <= buffer.capacity();
        long most = holdsRows ? buffer.capacity() / rowBytes * rowBytes : rowBytes - at % rowBytes;
        return (int) Math.min(left, Math.min(most, buffer.capacity()));
    }

    private void read(long position) throws IOException {
        try {
            HeaderReader.readFully(channel, buffer, position);
        } catch (IOException e) {
            throw new IOException(path + ": " + Reason.of(e), e);
        }
    }

    /**
     * Fails if the file was written since it was opened: what was measured is then not what would be scaled.
     *
     * @throws IOException if size, time of modification or the file itself differ
     */
    public void requireUnchanged() throws IOException {
        BasicFileAttributes now = Files.readAttributes(path, BasicFileAttributes.class);
        boolean same = now.size() == opened.size()
                && now.lastModifiedTime().equals(opened.lastModifiedTime())
                && String.valueOf(now.fileKey()).equals(String.valueOf(opened.fileKey()));
        if (!same) throw new IOException(path + ": the input was changed while it was read");
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
