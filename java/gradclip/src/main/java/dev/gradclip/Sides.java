// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.List;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** Where a clipper's buffers are, on the host or on a device, picks its backend; nothing is copied silently. */
final class Sides {
    private Sides() {}

    /** The backend for these buffers, which must be available and theirs if it was chosen. */
    static Backend backend(
            @Nullable Backend chosen, IntFunction<String> name, List<? extends @Nullable GradientBuffer> bound) {
        int host = -1;
        int device = -1;
        for (int i = 0; i < bound.size(); i++) {
            if (bound.get(i) instanceof HostBuffer) host = i;
            else if (bound.get(i) instanceof DeviceBuffer) device = i;
        }
        if (host >= 0 && device >= 0) {
            throw new IllegalArgumentException(name.apply(host) + " is in host memory, but " + name.apply(device)
                    + " is in device memory; copy one to the other's side (DeviceBuffer.copyFrom, copyTo), or build a clipper "
                    + "for each side");
        }
        Backend backend = chosen != null ? chosen : device >= 0 ? Backend.CUDA : Backend.preferred();
        backend.require();
        if (backend == Backend.CUDA && host >= 0) {
            throw new IllegalArgumentException(
                    name.apply(host) + " is in host memory, which backend CUDA does not reach; "
                            + "copy it with DeviceBuffer.allocate and copyFrom, or leave the backend to the buffers");
        }
        if (backend != Backend.CUDA && device >= 0) {
            throw new IllegalArgumentException(name.apply(device) + " is in device memory, which backend " + backend
                    + " does not reach; leave the backend to the buffers, or copy it with DeviceBuffer.copyTo");
        }
        return backend;
    }
}
