// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import dev.gradclip.cli.shell.BadFileException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;

/** Reads the header at the start of a file: 8 bytes of little-endian length, then JSON, padded with white space. */
final class HeaderReader {
    static final int PREFIX = 8;

    /** The format's own limit. */
    static final long LARGEST = 100_000_000;

    private HeaderReader() {}

    static Header read(FileChannel channel) throws IOException {
        long size = channel.size();
        if (size == 0) throw new BadFileException("the file is empty, as one is that was not written to its end");
        byte[] head = new byte[(int) Math.min(size, FileKind.HEAD)];
        readFully(channel, ByteBuffer.wrap(head), 0);
        requireHeader(head, size);
        int length = (int) length(head);
        byte[] bytes = new byte[PREFIX + length];
        readFully(channel, ByteBuffer.wrap(bytes), 0);
        long dataBytes = size - bytes.length;
        return new Header(bytes, Layout.check(HeaderParser.parse(bytes, PREFIX, length), dataBytes), dataBytes);
    }

    private static long length(byte[] head) {
        return ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    }

    private static void requireHeader(byte[] head, long size) throws BadFileException {
        long length = size < PREFIX ? -1 : length(head);
        boolean possible = length >= 0 && length <= LARGEST;
        boolean begins = possible && size > PREFIX && head[PREFIX] == '{';
        if (begins && length > 0 && length <= size - PREFIX) return;
        // What begins as it should is damaged; the rest may be of another kind.
        FileKind kind = begins ? null : FileKind.of(head);
        throw new BadFileException(kind == null ? fault(size, length, possible) : kind.advice());
    }

    private static String fault(long size, long length, boolean possible) {
        if (size < PREFIX) return "the file has " + size + " bytes, less than the 8 of the header's length";
        if (!possible) {
            return "the header's length is " + Long.toUnsignedString(length) + ", above the format's limit of "
                    + LARGEST + " bytes; this is no safetensors file, or it is damaged";
        }
        if (length > size - PREFIX) {
            return "the header's length is " + length + ", but only " + (size - PREFIX)
                    + " bytes follow; the file may be truncated";
        }
        return "the header does not begin with '{'; this is not a safetensors file";
    }

    static void readFully(FileChannel channel, ByteBuffer buffer, long position) throws IOException {
        long at = position;
        while (buffer.hasRemaining()) {
            int count = channel.read(buffer, at);
            if (count < 0) throw new IOException("the input was truncated while it was read, at byte " + at);
            at += count;
        }
    }
}
