// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks.tensorflow;

import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.tensorflow.ndarray.buffer.DataStorageVisitor;

/** A tensor's own memory. */
final class Memory implements DataStorageVisitor<FloatBuffer> {
    /** At an address that somebody else keeps. */
    private static final class At extends FloatPointer {
        At(long address, long length) {
            this.address = address;
            this.capacity = length;
            this.limit = length;
        }
    }

    @Override
    public FloatBuffer visit(long address, long length, long scale) {
        return new At(address, length).asByteBuffer().asFloatBuffer();
    }

    @Override
    public FloatBuffer fallback() {
        throw new IllegalStateException("the tensor is in no memory that can be shown");
    }
}
