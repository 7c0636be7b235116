// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

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
        if (size == 0) throw new BadFileException("the file is empty");
        if (size < PREFIX) {
            throw new BadFileException("the file has " + size + " bytes, less than the 8 of the header's length");
        }
        long length = length(channel);
        if (length < 0 || length > LARGEST) {
            throw new BadFileException("the header's length is " + Long.toUnsignedString(length)
                    + ", above the format's limit of " + LARGEST + " bytes");
        }
        if (length > size - PREFIX) {
            throw new BadFileException("the header's length is " + length + ", but only " + (size - PREFIX)
                    + " bytes follow; the file may be truncated");
        }
        byte[] bytes = new byte[Math.toIntExact(PREFIX + length)];
        readFully(channel, ByteBuffer.wrap(bytes), 0);
        if (length == 0 || bytes[PREFIX] != '{') {
            throw new BadFileException("the header does not begin with '{'; this is not a safetensors file");
        }
        long dataBytes = size - bytes.length;
        return new Header(bytes, Layout.check(HeaderParser.parse(bytes, PREFIX, (int) length), dataBytes), dataBytes);
    }

    private static long length(FileChannel channel) throws IOException {
        ByteBuffer prefix = ByteBuffer.allocate(PREFIX).order(ByteOrder.LITTLE_ENDIAN);
        readFully(channel, prefix, 0);
        return prefix.getLong(0);
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
