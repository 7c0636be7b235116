// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.NativeLevels;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** A backend, and for the native one a SIMD level: what every contract test runs on. */
record TestBackend(Backend backend, int level, String name) {
    /** Plain Java, then each SIMD level that this machine runs. */
    static Stream<TestBackend> all() {
        List<TestBackend> all = new ArrayList<>();
        all.add(new TestBackend(Backend.JAVA, -1, "java"));
        if (Backend.NATIVE.isAvailable()) {
            List<String> levels = NativeLevels.names();
            for (int i = 0; i < levels.size(); i++) {
                all.add(new TestBackend(Backend.NATIVE, i, "native-" + levels.get(i)));
            }
        }
        return all.stream();
    }

    GradientClipperBuilder builder() {
        return GradientClipper.builder().backend(backend).level(level).unwatched();
    }

    GradientClipper clipper(GradientBuffer... buffers) {
        GradientClipperBuilder builder = builder();
        for (GradientBuffer buffer : buffers) builder.add(buffer);
        return builder.build();
    }

    @Override
    public String toString() {
        return name;
    }
}
