// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cuda;

import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.memory.Piece;
import java.lang.ref.Reference;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.List;

/** Copies elements between host and device, after the stream's earlier work; a copy is complete on return. */
public final class DeviceCopy {
    /** The size of the direct buffer through which heap arrays are copied, because a device cannot reach the heap. */
    private static final int STAGING_BYTES = 1 << 20;

    private final int device;
    private final long stream;
    private final boolean toHost;

    private DeviceCopy(int device, long stream, boolean toHost) {
        this.device = device;
        this.stream = stream;
        this.toHost = toHost;
    }

    /** Copies the pieces, one after the other, to an address on the device. */
    public static void toDevice(int device, long stream, long address, List<Piece> pieces) {
        new DeviceCopy(device, stream, false).all(address, pieces);
    }

    /** Fills the pieces, one after the other, from an address on the device. */
    public static void toHost(int device, long stream, long address, List<Piece> pieces) {
        new DeviceCopy(device, stream, true).all(address, pieces);
    }

    private void all(long address, List<Piece> pieces) {
        for (Piece piece : pieces) {
            if (piece.length() == 0) continue;
            if (piece.array() != null) throughStaging(address, piece);
            else direct(address, piece);
            address += piece.byteLength();
        }
    }

    private void direct(long address, Piece piece) {
        Buffer view = piece.view();
        try {
            copy(address, view == null ? piece.address() : NativeCuda.address(view), piece.byteLength());
        } finally {
            Reference.reachabilityFence(piece);
        }
    }

    private void throughStaging(long address, Piece piece) {
        Buffer heap = piece.duplicateView();
        int bytes = piece.dtype().bytes();
        int capacity = (int) Math.min(STAGING_BYTES, piece.byteLength());
        ByteBuffer memory = ByteBuffer.allocateDirect(capacity).order(ByteOrder.LITTLE_ENDIAN);
        Buffer staging = Piece.typed(piece.dtype(), memory);
        long from = NativeCuda.address(memory);
        int total = heap.limit();
        try {
            for (int at = 0; at < total; at += staging.capacity()) {
                int n = Math.min(staging.capacity(), total - at);
                heap.limit(at + n).position(at);
                staging.limit(n).position(0);
                if (!toHost) put(staging, heap);
                copy(address + (long) at * bytes, from, (long) n * bytes);
                if (toHost) put(heap, staging);
            }
        } finally {
            Reference.reachabilityFence(memory);
        }
    }

    private static void put(Buffer to, Buffer from) {
        if (to instanceof FloatBuffer floats) floats.put((FloatBuffer) from);
        else if (to instanceof DoubleBuffer doubles) doubles.put((DoubleBuffer) from);
        else ((ShortBuffer) to).put((ShortBuffer) from);
    }

    private void copy(long onDevice, long onHost, long bytes) {
        if (toHost) NativeCuda.copyToHost(device, stream, onHost, onDevice, bytes);
        else NativeCuda.copyToDevice(device, stream, onDevice, onHost, bytes);
    }
}
