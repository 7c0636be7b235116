// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.jni.EmulatedCuda;
import dev.gradclip.internal.jni.NativeLevels;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A backend to run contract tests on, with the native one's SIMD level or the emulated one's warp order. */
record TestBackend(Backend backend, int level, String name) {
    /** The order of the emulated device's warps; a second run of the tests has another one. */
    private static final int WARP_ORDER = Integer.getInteger("test.warp.order", 1);

    /** Returns plain Java, each SIMD level that this machine runs, and the emulated device or the real one. */
    static Stream<TestBackend> all() {
        List<TestBackend> all = new ArrayList<>();
        all.add(new TestBackend(Backend.JAVA, -1, "java"));
        if (Backend.NATIVE.isAvailable()) {
            List<String> levels = NativeLevels.names();
            // A GPU host's time is for the device: of the levels, which every other run has, the highest will do.
            for (int i = EmulatedCuda.isRealRequired() ? levels.size() - 1 : 0; i < levels.size(); i++) {
                all.add(new TestBackend(Backend.NATIVE, i, "native-" + levels.get(i)));
            }
        }
        if (EmulatedCuda.isLoaded()) {
            all.add(new TestBackend(Backend.CUDA, WARP_ORDER, "cuda-emulated"));
        }
        if (EmulatedCuda.isRealRequired()) {
            Backend.CUDA.require();
            all.add(new TestBackend(Backend.CUDA, 0, "cuda"));
        }
        return all.stream();
    }

    /** Returns the backends in host memory, for tests that have no meaning on a device. */
    static Stream<TestBackend> onHost() {
        return all().filter(b -> !b.onDevice());
    }

    /** Returns the backends in device memory; none where the emulator is not built. */
    static Stream<TestBackend> onDevices() {
        return all().filter(TestBackend::onDevice);
    }

    /** Returns the exception of backend CUDA for host memory. */
    static Class<? extends RuntimeException> cudaRefusesTheHost() {
        return EmulatedCuda.hasDevice() ? IllegalArgumentException.class : BackendUnavailableException.class;
    }

    boolean onDevice() {
        return backend == Backend.CUDA;
    }

    GradientClipperBuilder builder() {
        GradientClipperBuilder builder =
                GradientClipper.builder().backend(backend).withoutLeakReport();
        if (!onDevice()) return builder.level(level);
        EmulatedCuda.reset(level);
        return builder;
    }

    /** Places a buffer's elements where the backend works; {@link Values} reads them back from there. */
    GradientBuffer place(HostBuffer buffer) {
        return onDevice() ? Placed.onDevice(buffer) : Placed.onHost(buffer);
    }

    List<@Nullable GradientBuffer> place(List<? extends @Nullable HostBuffer> buffers) {
        List<@Nullable GradientBuffer> placed = new ArrayList<>();
        for (HostBuffer buffer : buffers) placed.add(buffer == null ? null : place(buffer));
        return placed;
    }

    GradientClipper clipper(HostBuffer... buffers) {
        GradientClipperBuilder builder = builder();
        for (HostBuffer buffer : buffers) builder.add(place(buffer));
        return builder.build();
    }

    /** Binds whole arrays of FLOAT32, or copies of them; null is absent. {@link Values} reads the result. */
    List<@Nullable HostBuffer> rebind(GradientClipper clipper, float[] @Nullable ... arrays) {
        List<@Nullable HostBuffer> buffers = new ArrayList<>();
        for (float[] array : arrays) buffers.add(array == null ? null : HostBuffer.wrap(array));
        if (onDevice()) clipper.rebind(place(buffers));
        else clipper.rebind(arrays);
        return buffers;
    }

    @Override
    public String toString() {
        return name;
    }
}
